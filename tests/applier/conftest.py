from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.damage import pgid, run
from tests.weaknesses.conftest import (
    default_at,
    make_database,
    migrated_database,
    own_database,
    second_connection,
)
from trigger_ops import api
from trigger_ops.applier import RunReport
from trigger_ops.planner import Request
from trigger_ops.states import Result, Verb

__all__ = ["default_at", "make_database", "migrated_database", "own_database", "second_connection"]

Connect = Callable[..., BaseDatabaseWrapper]

INVOICE = "past.Invoice:protect_deletes"
PRICES = "past.PriceList:read_only"
PAYROLL = "past.Payroll:read_only_employee"
POSTING = "awkward.Posting:check_balance"
VERSIONED = ("tutorial.Versioned:protect_version_edits", "tutorial.Versioned:versioned")

SHORT = dt.timedelta(milliseconds=600)


def carry_out(
    verb: Verb,
    *selectors: str,
    budget: dt.timedelta = dt.timedelta(seconds=20),
    actor: str = "user:ada",
    strict: bool = False,
    on_progress: Any = None,
    **request: Any,
) -> RunReport:
    """Plan one verb on `default`, and carry that out."""
    asked = Request(verb=verb, databases=("default",), selectors=selectors, actor=actor, **request)
    return api.apply(
        api.plan(asked),
        actor=actor,
        reason="a test",
        lock_budget=budget,
        strict=strict,
        on_progress=on_progress,
    )


def install(*selectors: str, **options: Any) -> RunReport:
    return carry_out(Verb.INSTALL, *selectors, **options)


def outcomes(report: RunReport) -> dict[str, Result]:
    """Return what became of each trigger, by URI; those that were not touched are left out."""
    return {
        one.step.uri: one.result for one in report.results if one.result is not Result.UNCHANGED
    }


def drop(uri: str, table: str) -> None:
    """Drop a registered trigger behind Django's back."""
    run("DROP TRIGGER {trigger} ON {table}", trigger=pgid(uri), table=table)


def statuses(*selectors: str) -> dict[str, str]:
    """Return the status of each trigger, by URI."""
    return {one.uri: one.status.value for one in api.inspect(*selectors)}


def ledger() -> list[tuple[str, str, str]]:
    """Return (kind, table, outcome) of the ledger's rows, oldest first."""
    rows = run('SELECT kind, "table", outcome FROM trigger_ops_ledgerentry ORDER BY id')
    return [tuple(row) for row in rows]  # type: ignore[misc]  # rows have the columns of the query


def at_work() -> int:
    """Return how many runs are announced."""
    return int(run("SELECT count(*) FROM trigger_ops_runlease")[0][0])


def backend(connection: BaseDatabaseWrapper) -> int:
    """Return the process id of a connection's backend, without asking the server."""
    connection.ensure_connection()
    return int(connection.connection.info.backend_pid)


def ask(connection: BaseDatabaseWrapper, statement: str, *parameters: Any) -> list[Any]:
    """Run SQL on one connection, in its transaction if it has one open; return the rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else []


def name_of_database() -> str:
    return str(connections["default"].settings_dict["NAME"])
