"""Which triggers a session may have stand aside, judged one by one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops import conf
from trigger_ops.exceptions import SessionRefused
from trigger_ops.ledger.tables import read
from trigger_ops.registry import IGNORE_FUNCTION, RegisteredTrigger, registered_triggers
from trigger_ops.registry.selectors import select

_INSTALLED = """\
SELECT g.tgname::pg_catalog.text, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind::pg_catalog.text,
       g.tgdeferrable OR g.tgconstraint OPERATOR(pg_catalog.<>) 0, p.proname::pg_catalog.text, p.prosrc
  FROM pg_catalog.pg_trigger g
  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) g.tgrelid
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
  JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) g.tgfoid
 WHERE g.tgname OPERATOR(pg_catalog.=) ANY (ARRAY[{names}]::pg_catalog.name[])
   AND NOT g.tgisinternal AND g.tgparentid OPERATOR(pg_catalog.=) 0"""

HISTORY = "Event"
"""The class of django-pghistory's triggers, and of those that are derived from it."""

_NOT_WITNESSED = {"v": "a view", "f": "a foreign table"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Installed:
    trigger: str
    table: str
    kind: str
    is_deferred: bool
    function: str
    body: str


def scope_of(
    selectors: Sequence[str], *, alias: str, history: bool, owns_transaction: bool
) -> list[RegisteredTrigger]:
    """Return the triggers that selectors name, if a session may have all of them stand aside.

    Raises:
        UnknownSelector: naming the nearest match.
        SessionRefused: naming the trigger, and what can be done.
    """
    if not [one for one in selectors if one.strip()]:
        raise SessionRefused(
            "A session names the triggers that are to stand aside: give at least one URI, such "
            "as app.Model:name; manage.py pgtrigger ls lists them."
        )
    chosen = select(registered_triggers(), selectors)
    _refuse_many(chosen)
    _refuse_history(chosen, selectors, history=history)
    _refuse_elsewhere(chosen, alias)
    installed = _installed(alias, chosen)
    for trigger in chosen:
        _refuse_unfit(
            trigger,
            [one for one in installed if one.trigger == trigger.pgid],
            owns_transaction=owns_transaction,
        )
    return chosen


def refuse_deferred(alias: str, triggers: Iterable[str]) -> None:
    """Refuse triggers (pgids) that fire when the transaction commits, after the session's block.

    Raises:
        SessionRefused: naming the first one.
    """
    for one in _read(alias, triggers):
        if one.is_deferred:
            raise SessionRefused(_deferred(one.trigger))


def _refuse_many(chosen: Sequence[RegisteredTrigger]) -> None:
    most = conf.number("SESSION_TRIGGERS")
    if len(chosen) > most:
        raise SessionRefused(
            f"{len(chosen)} triggers are more than the {most} that one session may name: name "
            'fewer, or raise TRIGGER_OPS["SESSION_TRIGGERS"].'
        )


def _refuse_history(
    chosen: Sequence[RegisteredTrigger], selectors: Sequence[str], *, history: bool
) -> None:
    swept = [one.uri for one in chosen if HISTORY in one.kinds and one.uri not in selectors]
    if swept and not history:
        raise SessionRefused(
            f"{_named(swept)} would stop writing history: name them in full, ask for them with "
            "history=True (--history), or choose a narrower selector."
        )


def _refuse_elsewhere(chosen: Sequence[RegisteredTrigger], alias: str) -> None:
    for one in chosen:
        if not one.allowed_on(alias):
            raise SessionRefused(
                f'"{one.uri}" has no table on "{alias}": name the database that it lives on with '
                "using= (--database)."
            )
        if one.error is not None:
            raise SessionRefused(
                f'"{one.uri}" cannot be compiled ({one.error}): mend it in the code first.'
            )


def _refuse_unfit(
    trigger: RegisteredTrigger, installed: Sequence[_Installed], *, owns_transaction: bool
) -> None:
    if not installed:
        raise SessionRefused(
            f'"{trigger.uri}" is not installed, so that nothing stands in the way: run '
            f"manage.py pgtrigger install {trigger.uri}, or leave it out."
        )
    for one in installed:
        if IGNORE_FUNCTION not in one.body.lower():
            raise SessionRefused(
                f'"{trigger.uri}" cannot be ignored: its function, {one.function}, asks nobody '
                "whether to stand aside; leave it out."
            )
        if one.kind in _NOT_WITNESSED:
            raise SessionRefused(
                f'"{trigger.uri}" is on {one.table}, {_NOT_WITNESSED[one.kind]}, whose rows '
                "cannot be witnessed: work on the table behind it."
            )
        if one.is_deferred and not owns_transaction:
            raise SessionRefused(_deferred(trigger.uri))


def _deferred(name: str) -> str:
    return (
        f'"{name}" may be deferred until the transaction commits, when a session inside it has '
        "ended: open the session first, and begin the transaction inside it."
    )


def _installed(alias: str, chosen: Sequence[RegisteredTrigger]) -> list[_Installed]:
    return _read(alias, [one.pgid for one in chosen])


def _read(alias: str, triggers: Iterable[str]) -> list[_Installed]:
    # Never without one: an array of nothing has no type in psycopg 2's SQL.
    names = sql.SQL(", ").join(sql.Literal(name) for name in ("", *triggers))
    return [
        _Installed(
            trigger=trigger,
            table=table,
            kind=kind,
            is_deferred=is_deferred,
            function=function,
            body=body or "",
        )
        for trigger, table, kind, is_deferred, function, body in read(
            alias, sql.SQL(_INSTALLED).format(names=names)
        )
    ]


def _named(uris: Sequence[str]) -> str:
    some = ", ".join(f'"{uri}"' for uri in uris[:5])
    return some if len(uris) <= 5 else f"{some} and {len(uris) - 5} more"
