"""The rows and rights that come with the guard: its own row, policies, and what roles may do."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.catalog.guard import GuardCatalog
from trigger_ops.durations import milliseconds
from trigger_ops.inspection.own_objects import (
    ROW_FUNCTION,
    expected_own_functions,
    tables_without_copies,
)
from trigger_ops.planner import Statement
from trigger_ops.planner.situation import Situation
from trigger_ops.records import GuardState, Limits
from trigger_ops.sql import Composable
from trigger_ops.states import Lock, Policy

GUARD, POLICIES = "trigger_ops_guard", "trigger_ops_policy"

CALLED = (
    "trigger_ops_open",
    "trigger_ops_review",
    "trigger_ops_extend",
    "trigger_ops_close",
    "trigger_ops_tell",
    "trigger_ops_record",
    "trigger_ops_acknowledge",
)
"""What a role has to execute that works with sessions without owning our tables."""


_LEDGER = ("trigger_ops_ledgerentry", "trigger_ops_triggerlease", "trigger_ops_runlease")


def rights(situation: Situation, catalog: GuardCatalog) -> Iterator[Statement]:
    """State what roles have too much of, and what they still lack."""
    yield from _revokes(situation, catalog)
    yield from _grants(situation, catalog)


def _revokes(situation: Situation, catalog: GuardCatalog) -> Iterator[Statement]:
    """Take from everybody and from APP_ROLES what default privileges gave: to write our tables.

    A role that they are members of is meant as well. Rights on columns go with those on the table.
    """
    alike: defaultdict[tuple[str, bool, tuple[str, ...]], list[str]] = defaultdict(list)
    for one in catalog.grants:
        if one.asked:
            alike[one.role, one.is_sequence, one.rights].append(one.name)
    for (role, is_sequence, held), names in alike.items():
        on = sql.SQL("{} ON {}{}").format(
            sql.SQL(", ".join(held)),
            sql.SQL("SEQUENCE " if is_sequence else ""),
            sql.SQL(", ").join(sql.Identifier(catalog.home, name) for name in names),
        )
        who = sql.Identifier(role) if role else sql.SQL("PUBLIC")
        yield situation.state(
            sql.SQL("REVOKE {} FROM {} CASCADE").format(on, who),
            Lock.NONE,
            "functions alone write our tables",
            sql.SQL("GRANT {} TO {}").format(on, who),
        )


def _grants(situation: Situation, catalog: GuardCatalog) -> Iterator[Statement]:
    """State what roles still lack.

    Everybody the schema of the gate, owners of partitioned tables the function of their witness,
    APP_ROLES evidence and verbs.
    """
    if not all(one.is_public for one in catalog.own_tables):
        on = sql.SQL("USAGE ON SCHEMA {}").format(sql.Identifier(catalog.home))
        yield _granted(situation, on, sql.SQL("PUBLIC"), "every trigger calls the gate")
    for owner in sorted({one.owner for one in tables_without_copies(catalog)}):
        name = sql.Identifier(catalog.home, ROW_FUNCTION)
        on = sql.SQL("EXECUTE ON FUNCTION {}()").format(name)
        yield _granted(
            situation, on, sql.Identifier(owner), "whoever makes a partition has to execute it"
        )
    there = {one.name: one for one in catalog.functions}
    called = [one for one in expected_own_functions(catalog.home) if one.name in CALLED]
    for role in situation.app_roles:
        name = sql.Identifier(role)
        unread = [
            one.name
            for one in catalog.own_tables
            if role not in one.readers and one.name not in _LEDGER
        ]
        if unread:
            tables = sql.SQL(", ").join(sql.Identifier(catalog.home, one) for one in unread)
            yield _granted(
                situation, sql.SQL("SELECT ON {}").format(tables), name, "it may read evidence"
            )
        denied = [
            one for one in called if one.name not in there or role not in there[one.name].executors
        ]
        if denied:
            functions = sql.SQL(", ").join(
                sql.SQL("{}({})").format(
                    sql.Identifier(catalog.home, one.name), sql.SQL(one.arguments)
                )
                for one in denied
            )
            on = sql.SQL("EXECUTE ON FUNCTION {}").format(functions)
            yield _granted(situation, on, name, "it may open sessions")


def _granted(situation: Situation, on: Composable, to: Composable, why: str) -> Statement:
    return situation.state(
        sql.SQL("GRANT {} TO {}").format(on, to),
        Lock.NONE,
        why,
        sql.SQL("REVOKE {} FROM {}").format(on, to),
    )


def rows(situation: Situation, catalog: GuardCatalog) -> Iterator[Statement]:
    """State what makes policies and the guard's row what the settings say."""
    present, wanted = situation.guard, situation.wanted
    if wanted is None:
        return
    had: Mapping[str, tuple[str, Policy, int]] = present.policies if present else {}
    for trigger in sorted(had.keys() - wanted.policies.keys()):
        yield situation.state(
            _without(catalog.home, trigger),
            Lock.NONE,
            "no setting declares it",
            _policy(catalog.home, trigger, had[trigger]),
        )
    for trigger, one in sorted(wanted.policies.items()):
        if had.get(trigger) != one:
            back = (
                _policy(catalog.home, trigger, had[trigger])
                if trigger in had
                else _without(catalog.home, trigger)
            )
            yield situation.state(
                _policy(catalog.home, trigger, one), Lock.NONE, f"{one[0]} is {one[1].value}", back
            )
    if present is None or _terms(present) != _terms(wanted):
        back = _row(catalog.home, present) if present else _off(catalog.home)
        why = "the guard is on" if present is None else "the settings say so"
        yield situation.state(_row(catalog.home, wanted), Lock.NONE, why, back)
    called: Mapping[str, str] = present.uris if present else {}
    if called != wanted.uris:
        yield situation.state(
            _renamed(catalog.home, called, wanted.uris),
            Lock.NONE,
            "a session is asked for by URI",
            _renamed(catalog.home, wanted.uris, called),
        )


def _terms(guard: GuardState) -> tuple[Policy, int, Limits]:
    return guard.policy, guard.approvals, guard.limits


def revoked_rows(situation: Situation) -> Iterator[Statement]:
    """State what takes policies and the guard's row away."""
    present = situation.guard
    if present is None:
        return
    for trigger, one in sorted(present.policies.items()):
        yield situation.state(
            _without(present.home, trigger),
            Lock.NONE,
            "the guard is removed",
            _policy(present.home, trigger, one),
        )
    back = [_row(present.home, present), _renamed(present.home, {}, present.uris)]
    yield situation.state(_off(present.home), Lock.NONE, "the guard is removed", *back)


def _policy(home: str, trigger: str, one: tuple[str, Policy, int]) -> Composable:
    uri, mode, approvals = one
    return sql.SQL(
        "INSERT INTO {} (trigger, uri, mode, approvals) VALUES ({}, {}, {}, {}) "
        "ON CONFLICT (trigger) DO UPDATE SET uri = excluded.uri, mode = excluded.mode, "
        "approvals = excluded.approvals"
    ).format(
        sql.Identifier(home, POLICIES),
        sql.Literal(trigger),
        sql.Literal(uri),
        sql.Literal(mode.value),
        sql.Literal(approvals),
    )


def _without(home: str, trigger: str) -> Composable:
    return sql.SQL("DELETE FROM {} WHERE trigger = {}").format(
        sql.Identifier(home, POLICIES), sql.Literal(trigger)
    )


def _row(home: str, guard: GuardState) -> Composable:
    values = {
        "policy": guard.policy.value,
        "approvals": guard.approvals,
        **{key: _plain(value) for key, value in dataclasses.asdict(guard.limits).items()},
    }
    return sql.SQL(
        "INSERT INTO {} (one, {}) VALUES (1, {}) ON CONFLICT (one) DO UPDATE SET {}"
    ).format(
        sql.Identifier(home, GUARD),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(map(sql.Literal, values.values())),
        sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(key)) for key in values
        ),
    )


def _plain(value: dt.timedelta | int | None) -> str | int | None:
    """Return a limit as a literal that both drivers write alike."""
    if isinstance(value, dt.timedelta):
        return f"{milliseconds(value)} milliseconds"
    return value


def _renamed(home: str, before: Mapping[str, str], now: Mapping[str, str]) -> Composable:
    """Make of the URIs that the guard's row has by pgid those that it should have."""
    new = {key: uri for key, uri in sorted(now.items()) if before.get(key) != uri}
    gone = sorted(before.keys() - now.keys())
    return sql.SQL(
        "UPDATE {} SET uris = (uris OPERATOR(pg_catalog.-) {}::pg_catalog.text[]) "
        "OPERATOR(pg_catalog.||) {}::pg_catalog.jsonb"
    ).format(
        sql.Identifier(home, GUARD),
        sql.Literal("{" + ",".join(f'"{one}"' for one in gone) + "}"),
        sql.Literal(json.dumps(new, ensure_ascii=False)),
    )


def _off(home: str) -> Composable:
    return sql.SQL("DELETE FROM {}").format(sql.Identifier(home, GUARD))
