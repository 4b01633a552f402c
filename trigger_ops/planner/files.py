"""Plan files: what ``--plan`` reads, and whether it may still be carried out.

A file is a statement of intent. Nothing in it is ever executed: whoever carries it out plans
anew from its request, and :func:`refusal` says whether that gives the same.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from django.utils.dateparse import parse_duration

from trigger_ops.durations import LONGEST
from trigger_ops.exceptions import StalePlan
from trigger_ops.inspection import Scope
from trigger_ops.planner import Plan, Request, ServerIdentity
from trigger_ops.planner.documents import (
    SCHEMA,
    Document,
    asked,
    canonical,
    checksum,
    document,
    text,
)
from trigger_ops.states import Enabled, Verb

__all__ = ["PlanFile", "document", "read", "refusal", "text"]

#: Characters of the largest file that is read.
LARGEST = 50_000_000
#: How far the clocks of two machines may be apart.
CLOCK_SKEW = dt.timedelta(minutes=5)

_AGAIN = "Make a new one with the command that wrote it (--dry-run --out FILE)."
_MODES = (Enabled.ENABLED, Enabled.DISABLED, Enabled.REPLICA, Enabled.ALWAYS)
# What a verb takes no account of would still be said of it in the ledger.
_HEEDED_BY = {
    "selectors": (Verb.INSTALL, Verb.UNINSTALL, Verb.ENABLE, Verb.DISABLE),
    "named": (Verb.PRUNE,),
    "path": (Verb.INSTALL, Verb.UNINSTALL, Verb.ENABLE, Verb.DISABLE, Verb.PRUNE),
    "glob": (Verb.INSTALL, Verb.UNINSTALL, Verb.ENABLE, Verb.DISABLE, Verb.PRUNE),
    "mode": (Verb.ENABLE,),
    "lasts": (Verb.DISABLE,),
    "expired": (Verb.ENABLE,),
    "functions": (Verb.PRUNE,),
}
_SHORTEST = dt.timedelta(milliseconds=1)
_SHOWN = 80
_ABSENT = object()

Made = TypeVar("Made")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PlanFile:
    """What a plan file says. ``statements`` and ``leases`` are only ever compared."""

    request: Request
    created: dt.datetime
    expires: dt.datetime
    servers: tuple[ServerIdentity, ...]
    fingerprint: str
    statements: tuple[Document, ...]
    leases: tuple[Document, ...]
    hazards: dict[str, str]
    obstacles: tuple[str, ...]


def read(written: str) -> PlanFile:
    """Read a plan file.

    Raises:
        StalePlan: one sentence on what is wrong with it, whatever it holds.
    """
    if len(written) > LARGEST:
        _reject(f"The plan file is larger than {LARGEST:,} characters.")
    try:
        found = json.loads(written, object_pairs_hook=_once, parse_constant=_no_number)
        return _read_document(found)
    except RecursionError:
        _reject("The plan file is nested too deeply to be one.")
    except ValueError:
        _reject("The plan file is not JSON.")


def refusal(file: PlanFile, plan: Plan, *, verb: Verb, now: dt.datetime) -> str | None:
    """Return why a file may not be carried out, ``plan`` being its request planned anew.

    None if what would be done now is exactly what the file says, all of its request counted.
    Selectors that mean the same triggers as those it was made with are no harm: the statements
    are the same, and so is what they were compared with.
    """
    if file.request.verb is not verb:
        theirs = file.request.verb.value
        return f"The plan is one of {theirs}: carry it out with pgtrigger {theirs} --plan FILE."
    fresh = document(plan)
    sentence = (
        _out_of_date(file, now)
        or _other_server(file, plan)
        or _other_request(file, plan)
        or _unheeded(file.request)
        or _other_statements(file.statements, fresh["statements"])
        or _other_surroundings(file, fresh)
    )
    again = f"Make a new one with manage.py pgtrigger {verb.value} --dry-run --out FILE."
    return f"{sentence} {again}" if sentence else None


def _reject(sentence: str) -> NoReturn:
    raise StalePlan(f"{sentence} {_AGAIN}") from None


def _once(pairs: list[tuple[str, Any]]) -> Document:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        _reject(f"The plan file says {_shown(twice)} twice in one place.")
    return found


def _no_number(word: str) -> NoReturn:
    _reject(f"The plan file holds {word}, which is no number.")


def _read_document(found: object) -> PlanFile:
    if not isinstance(found, dict):
        _reject("The plan file is no JSON object.")
    schema = _member(found, "schema", str)
    if schema != SCHEMA:
        _reject(f"The plan file is {_shown(schema)}, and only {SCHEMA} is understood here.")
    if _member(found, "checksum", str) != checksum(found):
        _reject("The plan file was edited after it was written, or is damaged.")
    request = _read_request(_member(found, "request", dict))
    if _member(found, "verb", str) != request.verb.value:
        _reject("The plan file names two verbs.")
    return PlanFile(
        request=request,
        created=_made(found, "created", _moment),
        expires=_made(found, "expires", _moment),
        servers=tuple(
            _read_server(alias, _member(found["server"], alias, dict))
            for alias in _member(found, "server", dict)
        ),
        fingerprint=_member(found, "fingerprint", str),
        statements=tuple(
            {**one, "uri": _member(one, "uri", str)} for one in _members(found, "statements", dict)
        ),
        leases=_members(found, "leases", dict),
        hazards={
            name: _member(found["hazards"], name, str) for name in _member(found, "hazards", dict)
        },
        obstacles=_members(found, "obstacles", str),
    )


def _read_server(alias: str, one: Mapping[str, Any]) -> ServerIdentity:
    return ServerIdentity(
        alias=alias,
        database=_member(one, "database", str),
        version=_member(one, "version", int),
        identifier=_member(one, "identifier", str),
    )


def _read_request(asked: Mapping[str, Any]) -> Request:
    path, glob, mode, lasts = (
        None if asked.get(key, _ABSENT) is None else key
        for key in ("path", "glob", "mode", "lasts")
    )
    return Request(
        verb=_made(asked, "verb", Verb),
        databases=_names(asked, "databases"),
        selectors=_names(asked, "selectors"),
        named=_names(asked, "named"),
        scope=Scope(
            path=_names(asked, path) if path else None,
            glob=_made(asked, glob, _name) if glob else None,
        ),
        mode=_made(asked, mode, _mode) if mode else None,
        lasts=_made(asked, lasts, _length) if lasts else None,
        expired=_member(asked, "expired", bool),
        functions=_member(asked, "functions", bool),
        lock_timeout=_made(asked, "lock_timeout", _length),
    )


def _member(where: Mapping[str, Any], key: str, kind: type[Made]) -> Made:
    value = where.get(key, _ABSENT)
    # Exactly that type: True is an int to isinstance.
    if type(value) is not kind:
        _misfit(key)
    return value


def _members(where: Mapping[str, Any], key: str, kind: type[Made]) -> tuple[Made, ...]:
    values = _member(where, key, list)
    if any(type(value) is not kind for value in values):
        _misfit(key)
    return tuple(values)


def _made(where: Mapping[str, Any], key: str, make: Callable[[str], Made]) -> Made:
    word = _member(where, key, str)
    try:
        return make(word)
    except (ValueError, OverflowError):
        _reject(f"The plan file says {_shown(word)} for {_shown(key)}, which means nothing here.")


def _names(where: Mapping[str, Any], key: str) -> tuple[str, ...]:
    names = _members(where, key, str)
    try:
        return tuple(_name(name) for name in names)
    except ValueError:
        _misfit(key)


def _misfit(key: str) -> NoReturn:
    _reject(f"The plan file has no {_shown(key)}, or not of the kind it must be.")


def _name(word: str) -> str:
    """Let through what can be a name in PostgreSQL.

    Raises:
        ValueError: for a NUL character or half a surrogate pair.
    """
    word.encode()
    if "\0" in word:
        raise ValueError
    return word


def _mode(word: str) -> Enabled:
    mode = Enabled(word)
    if mode not in _MODES:
        raise ValueError
    return mode


def _moment(word: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(word)
    if moment.tzinfo is None:
        raise ValueError
    return moment


def _length(word: str) -> dt.timedelta:
    length = parse_duration(word)
    if length is None or not _SHORTEST <= length <= LONGEST:
        raise ValueError
    return length


def _out_of_date(file: PlanFile, now: dt.datetime) -> str:
    if now >= file.expires:
        return f"The plan expired at {file.expires.isoformat(' ', 'seconds')}."
    if file.created > now + CLOCK_SKEW:
        created = file.created.isoformat(" ", "seconds")
        return f"The plan was made at {created}, which is yet to come: a clock is wrong."
    return ""


def _other_server(file: PlanFile, plan: Plan) -> str:
    theirs = {one.alias: one for one in file.servers}
    ours = {one.alias: one for one in plan.servers}
    for alias in sorted(theirs.keys() | ours.keys()):
        if theirs.get(alias) != ours.get(alias):
            return (
                f"The plan is for other databases: {_shown(alias)} was "
                f"{_identified(theirs.get(alias))}, and is {_identified(ours.get(alias))}."
            )
    return ""


def _identified(server: ServerIdentity | None) -> str:
    if server is None:
        return "no part of it"
    cluster = f"version {server.version}, cluster {_shown(server.identifier)}"
    return f"{_shown(server.database)} ({cluster})"


def _other_request(file: PlanFile, plan: Plan) -> str:
    same = asked(file.request) == asked(plan.request)
    return "" if same else "The plan was made for another request than this one."


def _unheeded(request: Request) -> str:
    said = asked(request)
    for key, verbs in _HEEDED_BY.items():
        if said[key] and request.verb not in verbs:
            return f"The plan file asks for {key}, of which {request.verb.value} takes no account."
    return ""


def _other_statements(then: Sequence[Document], now: Sequence[Document]) -> str:
    pairs = itertools.zip_longest(then, now)
    first = next(((one, other) for one, other in pairs if one != other), None)
    if first is None:
        return ""
    if not now:
        return "Nothing that the plan says is left to be done."
    uri = _shown((first[1] or first[0] or {})["uri"])
    kept = Counter(map(canonical, then)) & Counter(map(canonical, now))
    total = max(len(then), len(now))
    number = total - kept.total()
    if not number:
        return f"The statements would be run in another order now, from {uri} on."
    return f"The statements would be others now: {number} of {total} differ, first for {uri}."


def _other_surroundings(file: PlanFile, fresh: Document) -> str:
    if file.fingerprint != fresh["fingerprint"]:
        return "A planned trigger, its table or the ignore function changed since it was planned."
    if list(file.leases) != fresh["leases"]:
        return "The leases that would be opened or ended are not those of the plan."
    if file.hazards != fresh["hazards"]:
        words = ", ".join(sorted(fresh["hazards"])) or "none"
        return f"The side effects to be allowed are not those of the plan; now there are: {words}."
    if list(file.obstacles) != fresh["obstacles"]:
        obstacle = (*fresh["obstacles"], *file.obstacles)[0]
        return f"What stands in the way is not what the plan says: {_shown(obstacle)}."
    return ""


def _shown(word: str) -> str:
    """Quote a word that came from a file: printable, and not at any length."""
    if not word.isprintable():
        word = word.encode("unicode_escape", "backslashreplace").decode("ascii")
    return f'"{word[:_SHOWN]}…"' if len(word) > _SHOWN else f'"{word}"'
