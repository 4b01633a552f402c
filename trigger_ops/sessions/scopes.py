"""Which triggers a session may have stand aside, judged one by one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from django.db.backends.postgresql.psycopg_any import sql
from django.utils.translation import gettext_noop as _

from trigger_ops import conf
from trigger_ops.aliases import for_pgtrigger
from trigger_ops.exceptions import Sentence, SessionRefused
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

_NOT_WITNESSED = {"v": Sentence(_("a view")), "f": Sentence(_("a foreign table"))}


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
            _(
                "A session names the triggers that are to stand aside: give at least one URI, such "
                "as app.Model:name; manage.py pgtrigger ls%(on)s lists them."
            ),
            on=for_pgtrigger(alias),
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
            alias=alias,
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
            _(
                "%(number)d triggers are more than the %(most)d that one session may name: name "
                'fewer, or raise TRIGGER_OPS["SESSION_TRIGGERS"].'
            ),
            number=len(chosen),
            most=most,
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
                _(
                    '"%(uri)s" has no table on "%(alias)s": name the database that it lives on '
                    "with using= (--database)."
                ),
                uri=one.uri,
                alias=alias,
            )
        if one.error is not None:
            raise SessionRefused(
                _('"%(uri)s" cannot be compiled (%(error)s): mend it in the code first.'),
                uri=one.uri,
                error=one.error,
            )


def _refuse_unfit(
    trigger: RegisteredTrigger,
    installed: Sequence[_Installed],
    *,
    alias: str,
    owns_transaction: bool,
) -> None:
    if not installed:
        raise SessionRefused(
            _(
                '"%(uri)s" is not installed, so that nothing stands in the way: run manage.py '
                "pgtrigger install %(uri)s%(on)s, or leave it out."
            ),
            uri=trigger.uri,
            on=for_pgtrigger(alias),
        )
    for one in installed:
        if IGNORE_FUNCTION not in one.body.lower():
            raise SessionRefused(
                _(
                    '"%(uri)s" cannot be ignored: its function, %(function)s, asks nobody whether '
                    "to stand aside; leave it out."
                ),
                uri=trigger.uri,
                function=one.function,
            )
        if one.kind in _NOT_WITNESSED:
            raise SessionRefused(
                _(
                    '"%(uri)s" is on %(table)s, %(kind)s, whose rows cannot be witnessed: work on '
                    "the table behind it."
                ),
                uri=trigger.uri,
                table=one.table,
                kind=_NOT_WITNESSED[one.kind],
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
