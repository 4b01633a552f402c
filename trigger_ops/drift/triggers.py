"""Findings about one trigger each."""

from __future__ import annotations

import dataclasses
import functools
import glob
import re
import shlex
from collections.abc import Callable, Iterator

from trigger_ops.aliases import for_migrate, for_pgtrigger
from trigger_ops.catalog.snapshot import CatalogTrigger
from trigger_ops.drift import Finding
from trigger_ops.drift.digests import observed
from trigger_ops.drift.ids import KINDS
from trigger_ops.inspection import InspectedTrigger
from trigger_ops.inspection.comparison import VOLATILE
from trigger_ops.leases import Lease
from trigger_ops.states import Enabled, Facet, Hazard, Status, Verdict

SHARED = f"--allow {Hazard.REPLACES_SHARED_FUNCTION_OF_OTHERS}"
"""What lets an install replace a function that another project's triggers execute too."""

BODY = frozenset({Facet.BODY})
FUNCTION = frozenset({Facet.FUNCTION, Facet.SECURITY, Facet.OWNER})
NOT_DEFINITION = frozenset({Facet.ENABLED, Facet.COMMENT})

_WRITES = re.compile(
    r'\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?("(?:[^"]|"")*"|[A-Za-z_]\w*)(\s*\.)?',
    re.IGNORECASE,
)
_LITERALS = re.compile(r"'(?:[^']|'')*'|--[^\n]*")
_BYPASS = re.compile(r"^(?:pgtrigger\.ignore|session_replication_role)=", re.IGNORECASE)


def make(
    code: str,
    trigger: InspectedTrigger,
    message: str,
    *,
    fix: str,
    facets: frozenset[Facet] = frozenset(),
) -> Finding:
    """Make a finding about one trigger."""
    kind = KINDS[code]
    return Finding(
        id=kind.id,
        level=kind.level,
        uri=trigger.uri,
        database=trigger.database,
        schema=trigger.schema,
        schemas=(trigger.schema,) if trigger.schema else (),
        table=trigger.table,
        trigger=trigger.trigger,
        status=trigger.status,
        enabled=trigger.enabled,
        facets=tuple(facet for facet in Facet if facet in facets),
        message=message,
        fix=fix,
        digest=observed(trigger, facets, message),
    )


def about_trigger(
    trigger: InspectedTrigger, lease: Lease | None = None, *, shared: bool = False
) -> Iterator[Finding]:
    """Yield what somebody should know about one inspected trigger; ``lease`` is its open one.

    ``shared`` tells that triggers of another project execute its function too.
    """
    for finding in _BY_VERDICT[trigger.verdict](trigger):
        if shared and finding.fix == command("install", trigger):
            yield dataclasses.replace(finding, fix=f"{finding.fix} {SHARED}")
        else:
            yield finding
    live, registered = trigger.installed, trigger.registered
    if live is None or registered is None or trigger.status is Status.UNALLOWED:
        return
    yield from _about_mode(trigger, live, lease)
    if live.function == trigger.trigger:
        yield from _about_function(trigger, live)
    tables = [(live.schema, live.table, live.has_triggers)]
    tables += [(one.schema, one.table, one.has_triggers) for one in live.clones]
    for schema, table, has_triggers in tables:
        if has_triggers:
            continue
        name = f"{quoted(schema)}.{quoted(table)}".replace("'", "''")
        yield make(
            "C008",
            trigger,
            f'pg_class.relhastriggers of table "{table}" is false, so PostgreSQL fires '
            "none of its triggers.",
            fix="UPDATE pg_class SET relhastriggers = true WHERE oid = "  # noqa: S608 - only shown
            f"'{name}'::regclass;",
            facets=frozenset({Facet.ENABLED}),
        )


def command(verb: str, trigger: InspectedTrigger) -> str:
    """Return the command that repairs, with the alias and schema it has to name."""
    words = f"manage.py pgtrigger {verb} {trigger.uri}{for_pgtrigger(trigger.database)}"
    return words + (in_schema(trigger.schema) if trigger.elsewhere and trigger.schema else "")


def in_schema(schema: str) -> str:
    """Return the option that lets a command look into a schema, with the search_path behind it.

    A condition may need that: its operators are often in a schema that all tenants share.
    """
    return f" --schema-glob {shlex.quote(glob.escape(schema))}"


def in_schema_alone(schema: str) -> str:
    """Return the option that lets a command that drops look into a schema, and nowhere else."""
    return f" -s {shlex.quote(schema)}"


def _tampered(trigger: InspectedTrigger) -> Iterator[Finding]:
    live = trigger.installed
    if live is None:
        return
    facets = frozenset(trigger.facets) - NOT_DEFINITION
    fix = command("install", trigger)
    if body := facets & BODY:
        message = (
            "The function's body is not what the code says, nor what any migration ever said; "
            "the comment of the trigger is no evidence."
        )
        yield make("C001", trigger, message, fix=fix, facets=body)
    if changed := facets - BODY - FUNCTION:
        words = ", ".join(facet.value for facet in Facet if facet in changed)
        message = f"The trigger's {words} is not what the code or any migration says."
        yield make("C004", trigger, message, fix=fix, facets=changed)
    function = facets & FUNCTION
    if _is_only_bypass(live):
        function -= {Facet.SECURITY}
    if function:
        message = _function_message(live, function)
        yield make("C005", trigger, message, fix=fix, facets=function)


def _is_only_bypass(live: CatalogTrigger) -> bool:
    """Tell whether the function's settings are all such that C003 reports them already."""
    ordinary = not live.security_definer and live.volatility == VOLATILE
    return ordinary and all(map(_BYPASS.match, live.function_settings))


def _function_message(live: CatalogTrigger, facets: frozenset[Facet]) -> str:
    if Facet.FUNCTION in facets:
        return (
            f"The trigger executes {live.function_schema}.{live.function} ({live.language}), "
            "which is not the function that the code installs."
        )
    if Facet.SECURITY in facets:
        settings = ", ".join(live.function_settings) or "none"
        definer = "SECURITY DEFINER" if live.security_definer else "SECURITY INVOKER"
        if live.volatility != VOLATILE:
            return (
                f"The trigger's function is not VOLATILE, so it is blind to what its own statement "
                f"wrote; it is {definer} with settings: {settings}."
            )
        return (
            f"The trigger's function is {definer} with settings: {settings}; the code has neither."
        )
    return (
        f'The trigger\'s function belongs to role "{live.function_owner}", which is no member of '
        f'the table\'s owner "{live.table_owner}" and can replace the body.'
    )


def _outdated(trigger: InspectedTrigger) -> Iterator[Finding]:
    facets = frozenset(trigger.facets) - NOT_DEFINITION
    message = "The database holds an older form of the trigger than the code."
    yield make("W001", trigger, message, fix=command("install", trigger), facets=facets)


def _pending(trigger: InspectedTrigger) -> Iterator[Finding]:
    message = f"The database is as its applied migrations say; the code is further on{_because(trigger)}."
    facets = frozenset(trigger.facets) - NOT_DEFINITION
    yield make(
        "I001",
        trigger,
        message,
        fix=_migrations(trigger),
        facets=facets,
    )


def _migrations(trigger: InspectedTrigger) -> str:
    return f"manage.py makemigrations && manage.py migrate{for_migrate(trigger.database)}"


def _ahead(trigger: InspectedTrigger) -> Iterator[Finding]:
    message = "The trigger is as the code says, but the applied migrations do not say so yet."
    yield make("I006", trigger, message, fix=_migrations(trigger))
    yield from _same(trigger)


def _same(trigger: InspectedTrigger) -> Iterator[Finding]:
    if Facet.COMMENT in trigger.facets:
        message = "The trigger is as the code says; only pgtrigger's hash in its comment is not."
        facets = frozenset({Facet.COMMENT})
        yield make("I003", trigger, message, fix=command("install", trigger), facets=facets)


def _missing(trigger: InspectedTrigger) -> Iterator[Finding]:
    message = f"The trigger should be in the database and is not{_because(trigger)}."
    fix = command("install", trigger)
    if trigger.reason:
        fix = f"manage.py migrate{for_migrate(trigger.database)}"
    yield make("E001", trigger, message, fix=fix)


def _because(trigger: InspectedTrigger) -> str:
    return f": {trigger.reason}" if trigger.reason else ""


def _orphaned(trigger: InspectedTrigger) -> Iterator[Finding]:
    message = (
        "pgtrigger installed this trigger once; no code declares it any more, and it still fires."
    )
    fix = f"manage.py pgtrigger prune{for_pgtrigger(trigger.database)}"
    if trigger.elsewhere and trigger.schema:
        fix += in_schema_alone(trigger.schema)
    yield make("W002", trigger, message, fix=fix)


def _unverified(trigger: InspectedTrigger) -> Iterator[Finding]:
    if trigger.installed is None:
        return
    message = f"{trigger.reason[:1].upper()}{trigger.reason[1:]}."
    fix = "manage.py pgtrigger check --record"
    yield make("W004", trigger, message, fix=fix, facets=frozenset({Facet.CONDITION}))


def _broken(trigger: InspectedTrigger) -> Iterator[Finding]:
    message = f"The trigger cannot be compiled, so nothing can be compared: {trigger.reason}."
    yield make("E004", trigger, message, fix="mend the trigger's declaration in the code")


def _not_allowed(trigger: InspectedTrigger) -> Iterator[Finding]:
    live = trigger.installed
    if live is None:
        return
    message = (
        f'The routers do not allow this model on "{trigger.database}", yet its trigger is '
        "installed there and fires."
    )
    yield make("W007", trigger, message, fix=command("uninstall", trigger))


def drop_statement(live: CatalogTrigger) -> str:
    """Return the statement that drops a trigger, to be shown to a person."""
    return f"DROP TRIGGER {quoted(live.name)} ON {quoted(live.schema)}.{quoted(live.table)};"


def quoted(name: str) -> str:
    """Quote an identifier for a statement that is shown, never executed."""
    return '"{}"'.format(name.replace('"', '""'))


def _nothing(_: InspectedTrigger) -> Iterator[Finding]:
    return iter(())


_BY_VERDICT: dict[Verdict, Callable[[InspectedTrigger], Iterator[Finding]]] = {
    Verdict.SAME: _same,
    Verdict.PENDING: _pending,
    Verdict.AHEAD: _ahead,
    Verdict.OUTDATED: _outdated,
    Verdict.TAMPERED: _tampered,
    Verdict.MISSING: _missing,
    Verdict.ORPHANED: _orphaned,
    Verdict.FOREIGN: _nothing,
    Verdict.NOT_ALLOWED: _not_allowed,
    Verdict.UNVERIFIED: _unverified,
    Verdict.BROKEN: _broken,
}


def _about_mode(
    trigger: InspectedTrigger, live: CatalogTrigger, lease: Lease | None
) -> Iterator[Finding]:
    if Facet.ENABLED not in trigger.facets:
        return
    facets = frozenset({Facet.ENABLED})
    fix = command("enable", trigger)
    if trigger.enabled is Enabled.PARTIAL:
        yield make("E003", trigger, _partial_message(live), fix=fix, facets=facets)
    elif trigger.enabled is Enabled.DISABLED and lease is not None and lease.live:
        message = (
            f"The trigger is disabled on a lease {_terms(lease)}; until then this is expected."
        )
        yield make(
            "I015", trigger, message, fix=f"{fix} --allow REENABLES_DISABLED", facets=facets
        )
    elif trigger.enabled in (Enabled.DISABLED, Enabled.REPLICA):
        when = (
            "never fires"
            if trigger.enabled is Enabled.DISABLED
            else "fires only while replicating"
        )
        message = f"The trigger is {trigger.enabled.value}: it {when}."
        if lease is not None:
            message += f" It was disabled on a lease {_terms(lease)}, which is over."
        yield make("E002", trigger, message, fix=fix, facets=facets)
    else:
        declared = trigger.expected_mode
        message = f"The trigger is {trigger.enabled.value}, but {declared.value} is declared."
        if declared is Enabled.DISABLED:
            fix = command("disable", trigger)
        yield make("W003", trigger, message, fix=fix, facets=facets)


def _terms(lease: Lease) -> str:
    return f'of {lease.holder} until {lease.expires:%Y-%m-%d %H:%M:%SZ} ("{lease.reason}")'


def _partial_message(live: CatalogTrigger) -> str:
    odd = [clone for clone in live.clones if clone.enabled != "O"]
    names = ", ".join(f"{clone.schema}.{clone.table}" for clone in odd) or "the parent alone"
    return (
        f"The trigger is not enabled alike on all of its {len(live.clones)} partitions and their "
        f"parent; it differs on: {names}."
    )


def _about_function(trigger: InspectedTrigger, live: CatalogTrigger) -> Iterator[Finding]:
    facets = frozenset({Facet.SECURITY})
    for setting in filter(_BYPASS.match, live.function_settings):
        message = f"The trigger's own function is set to run with {setting}."
        name = setting.partition("=")[0]
        fix = f"ALTER FUNCTION {quoted(live.function_schema)}.{quoted(live.function)}() RESET {name};"
        yield make("C003", trigger, message, fix=fix, facets=facets)
    pinned = any(setting.startswith("search_path=") for setting in live.function_settings)
    target = _unqualified_target(live.body)
    if target and not pinned:
        message = (
            f"The function writes to {target} without naming its schema and without a pinned "
            "search_path: a temporary table of that name would take the rows."
        )
        fix = (
            f"ALTER FUNCTION {quoted(live.function_schema)}.{quoted(live.function)}() "
            f"SET search_path = {quoted(live.schema)}, pg_temp;"
        )
        yield make("I005", trigger, message, fix=fix)


@functools.lru_cache(maxsize=10_000)
def _unqualified_target(body: str) -> str:
    for name, dot in _WRITES.findall(_LITERALS.sub("''", body)):
        if not dot and name.upper() not in ("SET", "OF", "ON", "OR"):
            return str(name)
    return ""
