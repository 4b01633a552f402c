"""Findings about a database as a whole: ways round its triggers that leave them untouched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from trigger_ops.aliases import for_pgtrigger
from trigger_ops.catalog.reading import split_search_path
from trigger_ops.catalog.snapshot import (
    IgnoreFunction,
    OrphanFunction,
    StoredSetting,
    Surroundings,
)
from trigger_ops.drift import Finding
from trigger_ops.drift.digests import digest_of, without_schema
from trigger_ops.drift.ids import KINDS
from trigger_ops.drift.triggers import SHARED, in_schema_alone, quoted
from trigger_ops.inspection import InspectedDatabase
from trigger_ops.inspection.guarding import (
    WITNESS,
    gated_schemas,
    live_witnesses,
    watched_tables,
)
from trigger_ops.inspection.ignoring import called_schemas, difference
from trigger_ops.inspection.orphans import foreign_triggers, looks_installed
from trigger_ops.inspection.own_objects import gate_body
from trigger_ops.leases import Announcement
from trigger_ops.registry import IGNORE_FUNCTION
from trigger_ops.registry.definition import identifiers
from trigger_ops.sql.functions import PREFIX

_OFF = {"session_replication_role": ("replica",)}
_ON = ("on", "true", "yes", "1", "t", "tr", "tru", "y", "ye")
_ASSERT = re.compile(r"\bassert\b", re.IGNORECASE)
_NOTHING_IGNORED = ("", "{}")
_SWITCHES = ("pgtrigger.ignore", "session_replication_role")
# Literals come first, so that dashes in one hide nothing that follows it.
_COMMENTS = re.compile(
    r"(e'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|(\$\w*\$).*?\2)|--[^\n]*|/\*.*?\*/",
    re.DOTALL,
)
_GATE = re.compile(rf'("(?:[^"]|"")*"|[\w$]+)\.{PREFIX}gate\b')
_PARTS = ("insert", "update", "delete", "truncate", "replica")
_WITNESSES = (WITNESS, *(f"{WITNESS}_{one}" for one in _PARTS))
_DOTS = re.compile(r"\s*\.\s*")
_SETS = re.compile(
    r"\bset_config\b|\bexecute\b|\bupdate\s+(?:only\s+)?(?:pg_catalog\.)?pg_settings\b"
    r"|\bset\s+(?:local\s+|session\s+)?(?:pgtrigger\.ignore|session_replication_role)"
)


def about_database(
    database: InspectedDatabase, code: str, message: str, fix: str, *, schema: str | None = None
) -> Finding:
    """Make a finding that is about no single trigger of the code."""
    kind = KINDS[code]
    return Finding(
        id=kind.id,
        level=kind.level,
        uri=None,
        database=database.alias,
        schema=schema,
        schemas=(schema,) if schema else (),
        table=None,
        trigger=None,
        status=None,
        enabled=None,
        facets=(),
        message=message,
        fix=fix,
        digest=digest_of(without_schema(message, schema)),
    )


def bypasses(database: InspectedDatabase, *, guarded: bool = False) -> Iterator[Finding]:
    """Yield the settings and shared functions that switch triggers off.

    Where the guard is on (``guarded``), an ignore function that this project's triggers call has
    to be the gate, of which :func:`trigger_ops.drift.guarding.about_guard` speaks.
    """
    snapshot = database.snapshot
    around = snapshot.surroundings if snapshot else None
    if snapshot is None or around is None:
        return
    yield from _settings(database, around.settings)
    called = called_schemas(snapshot, around.ignore_functions)
    gated = gated_schemas(database) if guarded else frozenset()
    yield from _changed_ignore_functions(database, around.ignore_functions, called - gated)
    yield from _uncalled_ignore_functions(database, around.ignore_functions, called)
    yield from _orphan_functions(database, around.orphan_functions)
    yield from _function_settings(database, around)
    yield from _rights(database, around)


def at_work(database: InspectedDatabase, run: Announcement) -> Finding:
    """Say that a run is changing triggers right now, so that what it has not reached differs."""
    message = (
        f"A run is changing triggers: {run.verb} by {run.holder} (pid {run.pid}) since "
        f"{run.since:%Y-%m-%d %H:%M:%SZ}; what it has not reached yet is no drift."
    )
    return about_database(
        database, "I013", message, f"manage.py pgtrigger log{for_pgtrigger(database.alias)}"
    )


# The shared ignore function --------------------------------------------------------------------


def _changed_ignore_functions(
    database: InspectedDatabase, functions: Iterable[IgnoreFunction], called: frozenset[str]
) -> Iterator[Finding]:
    proper = _proper(functions)
    # Stock's own function would make the witnesses that are there speak of no session.
    guarded = bool(left_witnesses(database))
    for schema in sorted(called):
        if schema not in proper:
            yield about_database(
                database,
                "C002",
                f"Installed triggers call {schema}.{IGNORE_FUNCTION}(name), and it does not exist.",
                guard_install(database) if guarded else _reinstall(database, schema),
                schema=schema,
            )
        elif changed := difference(proper[schema]):
            if is_gate := not difference(proper[schema], _gate_of(proper[schema])):
                changed = "it is the gate of a guard that is off here"
            yield about_database(
                database,
                "C002",
                f"The shared function {schema}.{IGNORE_FUNCTION} is not pgtrigger's: {changed}. "
                "Every trigger asks it whether to stand aside.",
                guard_install(database) if is_gate or guarded else _reinstall(database, schema),
                schema=schema,
            )


def _uncalled_ignore_functions(
    database: InspectedDatabase, functions: Iterable[IgnoreFunction], called: frozenset[str]
) -> Iterator[Finding]:
    proper = _proper(functions)
    for function in functions:
        if function.schema not in called or proper.get(function.schema) is not function:
            signature = f"{function.schema}.{IGNORE_FUNCTION}({function.arguments})"
            yield about_database(
                database,
                "I007",
                f"No installed trigger calls {signature}.",
                f"DROP FUNCTION {quoted(function.schema)}.{IGNORE_FUNCTION}({function.arguments});",
                schema=function.schema,
            )


def left_witnesses(database: InspectedDatabase) -> frozenset[tuple[int, str]]:
    """Return table OID and name of each trigger that the guard has made, or would make anew."""
    watched = watched_tables(database)
    partitions = {
        (clone.schema, clone.table)
        for one in database.triggers
        if one.installed is not None and one.installed.table_oid in watched
        for clone in one.installed.clones
    }
    return frozenset(
        (oid, name)
        for (oid, name), live in live_witnesses(database).items()
        if name in _WITNESSES and (oid in watched or (live.schema, live.table) in partitions)
    )


def guard_install(database: InspectedDatabase) -> str:
    """Return the command that puts the guard of a database back, whatever is left of it."""
    return f"manage.py pgtrigger guard install{for_pgtrigger(database.alias)}"


def _gate_of(function: IgnoreFunction) -> str:
    """Return the body of the gate that a function may be, whichever schema our tables are in."""
    called = _GATE.search(function.body)
    return gate_body(identifiers(called[1], separator=".")[0]) if called else ""


def _proper(functions: Iterable[IgnoreFunction]) -> dict[str, IgnoreFunction]:
    return {one.schema: one for one in functions if one.arguments == "trigger_name name"}


def _reinstall(database: InspectedDatabase, schema: str) -> str:
    words = ["manage.py pgtrigger install"]
    words += [one.uri for one in database.triggers if one.registered and one.installed][:1]
    words += for_pgtrigger(database.alias).split(maxsplit=1)
    snapshot = database.snapshot
    if snapshot is not None and snapshot.surroundings is not None:
        others = list(filter(looks_installed, foreign_triggers(database)))
        functions = snapshot.surroundings.ignore_functions
        exists = any(one.schema == schema for one in functions)
        if exists and schema in called_schemas(snapshot, functions, others):
            words.append(SHARED)
    return " ".join(words)


# Settings ----------------------------------------------------------------------------------------


def _settings(
    database: InspectedDatabase, settings: tuple[StoredSetting, ...]
) -> Iterator[Finding]:
    stored = {(one.name.lower(), one.value) for one in settings if one.source == "stored"}
    for setting in settings:
        if setting.source == "session" and (setting.name, setting.value) in stored:
            continue
        if reason := _bypass(setting) or _unasserted(database, setting):
            yield about_database(
                database,
                "C003",
                f"{_whose(setting)} {setting.name} = {setting.value}: {reason}.",
                _reset(setting),
            )


def _bypass(setting: StoredSetting) -> str:
    name = setting.name.lower()  # PostgreSQL keeps the case that it was given
    if name == "pgtrigger.ignore" and setting.value not in _NOTHING_IGNORED:
        return "the triggers named there never fire for those sessions"
    if setting.value.lower() in _OFF.get(name, ()):
        return "no ordinary trigger fires for those sessions"
    if name == "search_path":
        path = split_search_path(setting.value, role="$user")
        if "pg_catalog" in path[1:]:
            return (
                "functions of other schemas come before PostgreSQL's own, current_setting() of "
                "the ignore function among them"
            )
    return ""


def _unasserted(database: InspectedDatabase, setting: StoredSetting) -> str:
    if setting.name.lower() != "plpgsql.check_asserts" or setting.value.lower() in _ON:
        return ""
    bodies = (one.installed.body for one in database.triggers if one.registered and one.installed)
    asserts = any(map(_ASSERT.search, bodies))
    return "no ASSERT of the triggers is checked in those sessions" if asserts else ""


def _whose(setting: StoredSetting) -> str:
    if setting.source == "session":
        return "New sessions start with"
    role = f'Role "{setting.role}"' if setting.role else "Every role"
    place = f' in database "{setting.database}"' if setting.database else ""
    return f"{role}{place} starts with"


def _reset(setting: StoredSetting) -> str:
    name = ".".join(part if part.islower() else quoted(part) for part in setting.name.split("."))
    if setting.source == "session":
        return (
            f"ALTER SYSTEM RESET {name}; SELECT pg_reload_conf(); "
            "-- or take it out of postgresql.conf or of OPTIONS in settings.DATABASES"
        )
    inside = f" IN DATABASE {quoted(setting.database)}" if setting.database else ""
    if setting.role:
        return f"ALTER ROLE {quoted(setting.role)}{inside} RESET {name};"
    if setting.database:
        return f"ALTER DATABASE {quoted(setting.database)} RESET {name};"
    return f"ALTER ROLE ALL RESET {name};"


def _function_settings(database: InspectedDatabase, around: Surroundings) -> Iterator[Finding]:
    """Whoever may execute such a function writes past the triggers with it."""
    reported = {one.oid for one in around.ignore_functions} | {
        one.installed.function_oid for one in database.triggers if one.installed
    }
    for one in around.function_settings:
        name, _, value = one.setting.partition("=")
        setting = StoredSetting(database=None, role=None, name=name, value=value)
        if one.oid in reported or not _bypass(setting):
            continue
        signature = f"{quoted(one.schema)}.{quoted(one.name)}({one.arguments})"
        yield about_database(
            database,
            "C003",
            f"The {one.kind.lower()} {signature} runs with {one.setting}: whoever may execute it "
            "writes past the triggers.",
            f"ALTER {one.kind} {signature} RESET {name};",
            schema=one.schema,
        )


def _rights(database: InspectedDatabase, around: Surroundings) -> Iterator[Finding]:
    for grant in around.grants:
        role = "PUBLIC" if grant.role == "PUBLIC" else quoted(grant.role)
        yield about_database(
            database,
            "I011",
            f"Role {role} is no superuser and may SET {grant.setting}, which stops ordinary "
            "triggers from firing.",
            f"REVOKE SET ON PARAMETER {grant.setting} FROM {role};",
        )
    for name in around.subscriptions:
        yield about_database(
            database,
            "I012",
            f'The subscription "{name}" applies changes for which only triggers in mode ALWAYS or '
            "REPLICA fire.",
            f"manage.py pgtrigger ls --long{for_pgtrigger(database.alias)}",
        )


# Functions without a trigger -----------------------------------------------------------------------


def _orphan_functions(
    database: InspectedDatabase, functions: Iterable[OrphanFunction]
) -> Iterator[Finding]:
    registered = {pgid for _, pgid in database.registered}
    path = database.snapshot.server.own_path if database.snapshot else ()
    for function in functions:
        if function.name in registered or function.name not in database.known_pgids:
            continue
        yield about_database(
            database,
            "W002",
            f"pgtrigger left the function {function.schema}.{function.name} behind; no trigger "
            "executes it.",
            f"manage.py pgtrigger prune --functions{for_pgtrigger(database.alias)}"
            + ("" if function.schema in path else in_schema_alone(function.schema)),
            schema=function.schema,
        )


def body_bypasses(body: str) -> bool:
    """Tell whether the body of a foreign function sets what switches triggers off.

    To read it, as a witness does, is no harm.
    """
    text = _COMMENTS.sub(lambda found: found.group(1) or " ", body.lower())
    text = _DOTS.sub(".", text.replace('"', ""))
    return any(name in text for name in _SWITCHES) and _SETS.search(text) is not None
