"""The guard of a database as its own tables say, and what went past triggers unacknowledged."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Sequence

from django.db import models
from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.ledger.rights import read_ours
from trigger_ops.ledger.tables import home as ledger_home
from trigger_ops.ledger.tables import moment, named, read
from trigger_ops.models import (
    Acknowledgement,
    Change,
    Decision,
    Guard,
    GuardChange,
    LedgerEntry,
    Policy,
    Review,
    RunLease,
    Session,
    SessionEvent,
    SessionStatement,
    SessionTransaction,
    TriggerLease,
)
from trigger_ops.records import GuardAct, GuardState, Limits, Unattributed
from trigger_ops.states import Policy as Mode

TABLES: tuple[type[models.Model], ...] = (
    *(Session, Review, Policy, Guard, SessionEvent, SessionTransaction, SessionStatement),
    *(Decision, Change, Acknowledgement, GuardChange),
)
"""The tables that sessions and the guard need, beside those of the ledger."""

LEDGER: tuple[type[models.Model], ...] = (LedgerEntry, TriggerLease, RunLease)
"""Those of the ledger."""

_PAST: tuple[type[models.Model], ...] = (
    *(Change, Decision, GuardChange, LedgerEntry, Acknowledgement),
)
"""Those that tell what went past the guard."""

_COUNT = """\
SELECT pg_catalog.count(*)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE n.nspname OPERATOR(pg_catalog.=) {home}
   AND c.relkind OPERATOR(pg_catalog.=) ANY ('{{r,p}}'::pg_catalog."char"[])
   AND c.relname OPERATOR(pg_catalog.=) ANY (ARRAY[{names}]::pg_catalog.name[])"""

_GUARD = """\
SELECT g.policy, g.ddl, pg_catalog.timezone('UTC', g.since), g.approvals, g.uris::pg_catalog.text,
       g.longest, g.idle, g.waits, g.most_rows, g.most_extensions, g.most_triggers,
       (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(p.trigger, p.uri, p.mode, p.approvals) ORDER BY p.trigger)
          FROM {policy} p)::pg_catalog.text
  FROM {guard} g"""

_LIMITS = tuple(field.name for field in dataclasses.fields(Limits))

# What an acknowledgement covers is not newer than itself. A change of the guard is ours where the
# ledger has the statement, of the same transaction; in a cluster that was restored, an older one had
# the same number.
_UNATTRIBUTED = """\
WITH past AS (
    SELECT c.transaction, 1 AS number, pg_catalog.concat_ws('.', c.schema, c."table") AS "table", NULL::pg_catalog.text AS trigger,
           c.cause, c.role, c.application, c.address, c.at, NULL::pg_catalog.jsonb AS act
      FROM {change} c WHERE c.session_id IS NULL
    UNION ALL
    SELECT d.transaction, 0, NULL, d.trigger, 'ignore', d.role, '', '', d.at, NULL
      FROM {decision} d WHERE d.session_id IS NULL
    UNION ALL
    SELECT g.transaction, 0, NULL, NULL, 'guard', g.role, g.application, g.address, g.at,
           pg_catalog.jsonb_build_object('kind', g.kind, 'op', g.op, 'schema', g.schema, 'table', g."table", 'name', g.name, 'old', g.old, 'new', g.new)
      FROM {guardchange} g
     WHERE NOT EXISTS (SELECT FROM {ledger} l
                        WHERE l.transaction OPERATOR(pg_catalog.=) g.transaction AND g.at OPERATOR(pg_catalog.>=) l.began
                          AND g.at OPERATOR(pg_catalog.<=) (l.began OPERATOR(pg_catalog.+) '1 day'::pg_catalog.interval)
                          AND pg_catalog.strpos(l.sql, CASE WHEN g.kind OPERATOR(pg_catalog.=) ANY ('{{policy,guard}}'::pg_catalog.text[]) THEN g."table" ELSE g.name END) OPERATOR(pg_catalog.>) 0)
)
SELECT p.transaction, pg_catalog.sum(p.number)::pg_catalog.int8,
       pg_catalog.array_agg(DISTINCT p."table") FILTER (WHERE p."table" IS NOT NULL),
       pg_catalog.array_agg(DISTINCT p.trigger) FILTER (WHERE p.trigger IS NOT NULL),
       pg_catalog.array_agg(DISTINCT p.cause), pg_catalog.max(p.role), pg_catalog.max(p.application), pg_catalog.max(p.address),
       pg_catalog.timezone('UTC', pg_catalog.min(p.at)), pg_catalog.timezone('UTC', pg_catalog.max(p.at)),
       (pg_catalog.jsonb_agg(p.act ORDER BY p.at) FILTER (WHERE p.act IS NOT NULL))::pg_catalog.text
  FROM past p
 WHERE NOT EXISTS (SELECT FROM {acknowledgement} a
                    WHERE a.transaction OPERATOR(pg_catalog.=) p.transaction AND a.at OPERATOR(pg_catalog.>=) p.at)
 GROUP BY p.transaction ORDER BY pg_catalog.max(p.at) DESC, p.transaction DESC LIMIT {limit}"""


def guard_home(alias: str) -> str | None:
    """Return the schema that has our tables, those of sessions and evidence among them.

    None on a database that is not PostgreSQL, and where any table is missing.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    home = ledger_home(alias)
    if home is None:
        return None
    names = sql.SQL(", ").join(sql.Literal(model._meta.db_table) for model in TABLES)
    ((number,),) = read(alias, sql.SQL(_COUNT).format(home=sql.Literal(home), names=names))
    return home if number == len(TABLES) else None


def read_guard(alias: str, home: str) -> GuardState | None:
    """Return the guard of a database, None where it is off.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    question = sql.SQL(_GUARD).format(guard=named(home, Guard), policy=named(home, Policy))
    rows = read_ours(alias, home, question, [Guard, Policy])
    if not rows:
        return None
    policy, ddl, since, needed, uris, *limits, policies = rows[0]
    return GuardState(
        home=home,
        policy=Mode(policy),
        policies={
            trigger: (uri, Mode(mode), approvals)
            for trigger, uri, mode, approvals in json.loads(policies or "[]")
        },
        ddl=ddl,
        since=moment(since),
        approvals=needed,
        limits=Limits(**dict(zip(_LIMITS, limits, strict=True))),
        uris=json.loads(uris),
    )


def read_unattributed(alias: str, home: str, *, limit: int = 1000) -> list[Unattributed]:
    """Return what went past triggers outside any session and nobody acknowledged, newest first.

    Changes of what is enforced that no run of ours made are part of it.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    question = sql.SQL(_UNATTRIBUTED).format(
        change=named(home, Change),
        decision=named(home, Decision),
        guardchange=named(home, GuardChange),
        ledger=named(home, LedgerEntry),
        acknowledgement=named(home, Acknowledgement),
        limit=sql.Literal(limit),
    )
    return [_unattributed(*row) for row in read_ours(alias, home, question, _PAST)]


def _unattributed(
    transaction: int,
    rows: int,
    tables: Sequence[str] | None,
    triggers: Sequence[str] | None,
    causes: Sequence[str],
    role: str,
    application: str,
    address: str,
    first: dt.datetime,
    last: dt.datetime,
    acts: str | None,
) -> Unattributed:
    return Unattributed(
        transaction=transaction,
        rows=rows,
        tables=tuple(tables or ()),
        triggers=tuple(triggers or ()),
        causes=tuple(causes),
        role=role,
        application=application,
        address=address,
        first=moment(first),
        last=moment(last),
        acts=tuple(GuardAct(**one) for one in json.loads(acts or "[]")),
    )
