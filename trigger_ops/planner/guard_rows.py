"""The rows and rights that come with the guard: its own row, policies, and what roles may do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.catalog.guard import GuardCatalog
from trigger_ops.inspection.guarding import expected_own_functions
from trigger_ops.planner import Statement
from trigger_ops.planner.situation import Situation
from trigger_ops.records import GuardState
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


def grants(situation: Situation, catalog: GuardCatalog) -> Iterator[Statement]:
    """State what roles still lack: everybody the schema of the gate, APP_ROLES evidence and verbs."""
    if not all(one.is_public for one in catalog.own_tables):
        on = sql.SQL("USAGE ON SCHEMA {}").format(sql.Identifier(catalog.home))
        yield _granted(situation, on, sql.SQL("PUBLIC"), "every trigger calls the gate")
    there = {one.name: one for one in catalog.functions}
    called = [one for one in expected_own_functions(catalog.home) if one.name in CALLED]
    for role in situation.app_roles:
        name = sql.Identifier(role)
        unread = [one.name for one in catalog.own_tables if role not in one.readers]
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
    if present is None or (present.policy, present.approvals) != (wanted.policy, wanted.approvals):
        back = _row(catalog.home, present) if present else _off(catalog.home)
        yield situation.state(_row(catalog.home, wanted), Lock.NONE, "the guard is on", back)


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
    yield situation.state(
        _off(present.home), Lock.NONE, "the guard is removed", _row(present.home, present)
    )


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
    return sql.SQL(
        "INSERT INTO {} (one, policy, approvals) VALUES (1, {}, {}) "
        "ON CONFLICT (one) DO UPDATE SET policy = excluded.policy, approvals = excluded.approvals"
    ).format(
        sql.Identifier(home, GUARD), sql.Literal(guard.policy.value), sql.Literal(guard.approvals)
    )


def _off(home: str) -> Composable:
    return sql.SQL("DELETE FROM {}").format(sql.Identifier(home, GUARD))
