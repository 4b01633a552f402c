from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from asgiref.sync import SyncToAsync
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from demo_site.past.models import Customer, Receipt
from tests.damage import make_role, run
from tests.guard.conftest import guard, guarded, guarded_template
from tests.weaknesses.conftest import (
    default_at,
    make_database,
    migrated_database,
    own_database,
    second_connection,
)
from trigger_ops import api

__all__ = [
    "default_at",
    "guarded",
    "guarded_template",
    "make_database",
    "migrated_database",
    "own_database",
    "second_connection",
]

RECEIPT = "past.Receipt:append_only"
CUSTOMER = "past.Customer:read_only_email"
INVOICE = "past.Invoice:protect_deletes"
REASON = "the numbers were typed wrong"

BINDINGS: dict[str, dict[str, Any]] = {"client": {}}
"""The OPTIONS that tests run with: who puts parameters into statements, as far as there is a choice."""
if is_psycopg3:
    BINDINGS["server"] = {"server_side_binding": True}

_numbers = itertools.count()


@pytest.fixture(params=list(BINDINGS))
def bound(
    request: pytest.FixtureRequest, guarded: BaseDatabaseWrapper
) -> Iterator[BaseDatabaseWrapper]:
    """Let `default` be a guarded database, once for each way of binding parameters."""
    options = {**guarded.settings_dict["OPTIONS"], **BINDINGS[request.param]}
    with default_at(OPTIONS=options) as connection:
        yield connection


@pytest.fixture
def everywhere(
    bound: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BaseDatabaseWrapper]:
    """Let `default` be the guarded database in every thread, not in this one alone."""
    monkeypatch.setitem(connections.settings, "default", bound.settings_dict)
    SyncToAsync.single_thread_executor.submit(_forget_connection).result()
    yield bound
    SyncToAsync.single_thread_executor.submit(_forget_connection).result()


def _forget_connection() -> None:
    """The thread that Django's asynchronous methods use keeps its connection otherwise."""
    connections["default"].close()
    del connections["default"]


def session(*selectors: str, **named: Any) -> Any:
    return api.session(*(selectors or (RECEIPT,)), **{"reason": REASON, **named})


@pytest.fixture
def receipt(guarded: BaseDatabaseWrapper) -> Receipt:
    return Receipt.objects.create(number="wrong")


@pytest.fixture
def customer(guarded: BaseDatabaseWrapper) -> Customer:
    return Customer.objects.create(name="Ada", email="ada@old.example")


def renumber(receipt: Receipt, number: str | None = None) -> int:
    """Change what the trigger protects; return how many rows that were."""
    return Receipt.objects.filter(pk=receipt.pk).update(number=number or f"n{next(_numbers)}")


def is_protected(receipt: Receipt) -> bool:
    """Tell whether the trigger refuses a change, which is taken back in any case."""
    connection = connections["default"]
    joins = connection.in_atomic_block or not connection.get_autocommit()
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT is_protected" if joins else "BEGIN")
        try:
            # Not the ORM's update(), which marks the transaction as one to be rolled back.
            cursor.execute("UPDATE past_receipt SET number = '?' WHERE id = %s", [receipt.pk])
        except DatabaseError as error:
            if not api.is_trigger_error(error):
                raise
            return True
        finally:
            cursor.execute("ROLLBACK TO SAVEPOINT is_protected" if joins else "ROLLBACK")
    return False


def settings_now() -> tuple[str, str, str, str]:
    """Return what a session sets: nobody's session, nothing ignored, and the timeouts."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(current_setting('trigger_ops.session', true), ''),"
            " coalesce(current_setting('pgtrigger.ignore', true), ''),"
            " current_setting('statement_timeout'),"
            " current_setting('idle_in_transaction_session_timeout')"
        )
        return tuple(cursor.fetchone())  # type: ignore[return-value]  # the query gives as many columns


CLEAN = ("", "", "0", "0")


@dataclass(frozen=True)
class Written:
    """What a session left behind, over a connection that nothing else happens on."""

    connect: Callable[..., BaseDatabaseWrapper]

    def __call__(self, statement: str, *parameters: Any) -> list[Any]:
        options = {**connections["default"].settings_dict["OPTIONS"]}
        options.pop("pool", None)
        connection = self.connect(OPTIONS=options)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters or None)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def changes(self, number: int) -> list[tuple[str, str | None, str | None]]:
        """Return operation, old and new receipt number of each row of a session."""
        return self(
            "SELECT op, old ->> 'number', new ->> 'number' FROM trigger_ops_change"
            " WHERE session_id = %s ORDER BY id",
            number,
        )

    def statements(self, number: int) -> list[tuple[str, int | None, str]]:
        """Return template, rows and error of each statement of a session."""
        return self(
            "SELECT template, rows, error FROM ("
            "SELECT session_id, template, rows, error, at FROM trigger_ops_sessionstatement "
            "UNION ALL SELECT session_id, template, NULL, '', at FROM trigger_ops_sessiontransaction"
            " WHERE template <> '') s WHERE session_id = %s ORDER BY at",
            number,
        )

    def transactions(self, number: int) -> int:
        """Return how many transactions entered a session."""
        return int(
            self(
                "SELECT count(*) FROM trigger_ops_sessiontransaction WHERE session_id = %s", number
            )[0][0]
        )

    def state(self, number: int) -> str:
        """Return the state that a session is on record with."""
        return str(self("SELECT state FROM trigger_ops_session WHERE id = %s", number)[0][0])

    def events(self, number: int) -> list[str]:
        """Return what happened to a session."""
        return [
            kind
            for (kind,) in self(
                "SELECT kind FROM trigger_ops_sessionevent WHERE session_id = %s ORDER BY id",
                number,
            )
        ]


@pytest.fixture
def written(second_connection: Callable[..., BaseDatabaseWrapper]) -> Written:
    return Written(second_connection)


def revoke(written: Written, number: int, *, wanted: str = "revoked") -> None:
    """End a session as somebody else would."""
    written("SELECT trigger_ops_close(%s, %s, 'user:eve', 'enough')", number, wanted)


@pytest.fixture
def app_role(guarded: BaseDatabaseWrapper, settings: Any) -> Iterator[BaseDatabaseWrapper]:
    """Let `default` work as a role of APP_ROLES, which owns nothing."""
    role = make_role("app", options="LOGIN PASSWORD 'app'")
    run("GRANT SELECT, INSERT, UPDATE, DELETE ON past_receipt TO {role}", role=role)
    settings.TRIGGER_OPS = {"APP_ROLES": [role]}
    assert guard().changed
    with default_at(USER=role, PASSWORD="app") as connection:
        yield connection
    run("DROP OWNED BY {role}", role=role)
    run("DROP ROLE {role}", role=role)
