"""Sessions in databases that are not in UTF-8, where not every text can be kept as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, connections, transaction
from django.db.backends.postgresql.psycopg_any import sql

from demo_site.past.models import Receipt
from tests.copies import new_name
from tests.guard.conftest import guard
from tests.sessions.conftest import REASON, RECEIPT, default_at
from tests.weaknesses.conftest import _maintain
from trigger_ops import api
from trigger_ops.exceptions import SessionOver
from trigger_ops.records import Actor
from trigger_ops.sessions.encodings import escaped, fitted
from trigger_ops.sessions.statements import LONGEST_TEMPLATE, template_of

ENCODINGS = ("SQL_ASCII", "LATIN1")
MAKE = (
    "CREATE DATABASE {{name}} TEMPLATE template0 ENCODING '{}' LC_COLLATE 'C' LC_CTYPE 'C'"
).format


@pytest.fixture(scope="module", params=ENCODINGS)
def encoding(
    request: pytest.FixtureRequest, migrated_database: str, django_db_blocker: Any
) -> Iterator[str]:
    """Return an encoding; `default` is a guarded database that is in it."""
    name = new_name()
    with django_db_blocker.unblock():
        connections.close_all()
        _maintain(MAKE(request.param), name)
        try:
            with default_at(NAME=name):
                call_command("migrate", verbosity=0)
                assert guard().changed
                Receipt.objects.create(number="wrong")
                yield request.param
        finally:
            _maintain("DROP DATABASE {name} WITH (FORCE)", name)


def kept(text: str, encoding: str) -> str:
    """Return what a text becomes there: SQL_ASCII keeps all that it is given."""
    return text if encoding == "SQL_ASCII" else text.replace("€", "\\u20ac")


@pytest.mark.parametrize("text", ["Beträge waren falsch", "5 € waren falsch", "\\u00e4 zuviel"])
def test_who_and_why_are_on_record(encoding: str, text: str) -> None:
    with api.session(RECEIPT, reason=text, ticket=text, actor="user:jürgen€") as running:
        Receipt.objects.update(number="ä")
    found = api.find_session(running.id)
    assert (found.reason, found.ticket) == (kept(text, encoding),) * 2
    assert found.opened_by == kept("user:jürgen€", encoding)
    account = api.show_session(running.id)
    assert account.report.clean, account.report.findings
    assert [one.new["number"] for one in account.changes if one.new] == ["ä"]


@pytest.mark.parametrize("how", ["autocommit", "atomic"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE past_receipt SET number = %s /* für immer */",
        sql.SQL("UPDATE past_receipt SET number = {} /* für immer */").format(sql.Literal("ü")),
        "UPDATE past_receipt SET number = %s /* a" + "x" * LONGEST_TEMPLATE + " */",
    ],
    ids=["text", "composed", "long"],
)
def test_a_statement_works_as_it_does_without_a_session(
    encoding: str, how: str, statement: Any
) -> None:
    parameters = ["ö"] if isinstance(statement, str) else None
    around = transaction.atomic() if how == "atomic" else contextlib.nullcontext()
    with api.session(RECEIPT, reason=REASON) as running, around, connection.cursor() as cursor:
        cursor.execute(statement, parameters)
    account = api.show_session(running.id)
    assert account.report.clean, account.report.findings
    (change,) = account.changes
    assert change.new is not None
    assert change.new["number"] == (parameters or ["ü"])[0]
    if how == "atomic":
        assert [one.template[:30] for one in account.statements] == [
            template_of(statement, connection.connection)[:30]
        ]


@pytest.mark.parametrize("how", ["autocommit", "atomic"])
@pytest.mark.parametrize("text", ["ü", "€"])
def test_a_statement_that_fails_is_on_record_and_the_report_tells(
    encoding: str, how: str, text: str
) -> None:
    failing = f"UPDATE past_receipt SET numbre = %s -- {text}"
    with pytest.raises(DatabaseError), api.session(RECEIPT, reason=REASON) as running:
        around = transaction.atomic() if how == "atomic" else contextlib.nullcontext()
        with around, connection.cursor() as cursor:
            cursor.execute(failing, ["x"])
    account = api.show_session(running.id)
    template = kept(failing, encoding)
    assert [(one.template, bool(one.error)) for one in account.statements] == [(template, True)]


def test_what_is_refused_is_on_record(encoding: str) -> None:
    with pytest.raises(SessionOver), api.session(RECEIPT, reason=REASON) as running:
        api.revoke_session(running.id, reason="genug für heute", actor="user:eve")
        with pytest.raises(DatabaseError), connection.cursor() as cursor:
            cursor.execute("UPDATE past_receipt SET number = 'x' -- ü")
    (refused,) = [one for one in api.show_session(running.id).events if one.kind == "refused"]
    assert refused.detail["template"] == "UPDATE past_receipt SET number = 'x' -- ü"
    assert api.find_session(running.id).end_cause == "genug für heute"


TEXT = "stop → now €"


@pytest.mark.parametrize("verdict", ["approve", "deny"])
def test_what_a_reviewer_says_is_on_record(encoding: str, verdict: str) -> None:
    guard_row("four_eyes")
    try:
        asked = api.open_session(RECEIPT, reason=REASON)
    finally:
        guard_row("record")
    found = api.review_session(
        asked.id, reviewer=Actor(name="user:bøb€", key="€"), verdict=verdict, remark=TEXT
    )
    assert found.state == {"approve": "active", "deny": "denied"}[verdict]
    said = [(one.reviewer, one.verdict, one.remark) for one in found.reviews]
    assert said == [(fitting("user:bøb€"), verdict, fitting(TEXT))]


def test_whoever_changes_a_session_is_on_record(encoding: str) -> None:
    asked = api.open_session(RECEIPT, reason=REASON)
    api.extend_session(asked.id, longer="5m", actor="user:ex€")
    api.export_session(asked.id, actor="user:ax€")
    done = api.revoke_session(asked.id, reason=TEXT, actor="user:øx€")
    assert (done.state, done.was_over) == ("revoked", False)
    found = api.find_session(asked.id)
    assert (found.end_cause, found.ended_by) == (fitting(TEXT), fitting("user:øx€"))
    other = api.open_session(RECEIPT, reason=REASON)
    assert api.end_session(other.id, actor="user:øx€").ended_by == fitting("user:øx€")
    told = {one.kind: one.actor for one in api.show_session(asked.id).events}
    assert (told["extended"], told["exported"]) == (fitting("user:ex€"), fitting("user:ax€"))


def fitting(text: str) -> str:
    """Return what the database of the test makes of a text."""
    return fitted(text, connection.connection)


def guard_row(policy: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE trigger_ops_guard SET policy = %s", [policy])


@pytest.mark.parametrize(
    ("server", "text", "expected"),
    [
        ("UTF8", "ä €", "ä €"),
        ("LATIN1", "ä €", "ä \\u20ac"),
        ("LATIN9", "ä €", "ä €"),
        ("WIN1252", "ä € ж", "ä € \\u0436"),
        ("WIN866", "ä ж", "\\xe4 ж"),
        ("KOI8R", "ä ж", "\\xe4 ж"),
        ("EUC_CN", "ä 中", "\\xe4 中"),
        ("MULE_INTERNAL", "ä", "\\xe4"),
        ("SQL_ASCII", "ä €", "ä €"),
    ],
)
def test_what_an_encoding_does_not_have_is_escaped(server: str, text: str, expected: str) -> None:
    assert escaped(text, server=server, client="UTF8") == expected


def test_what_a_client_cannot_send_is_escaped_too() -> None:
    assert escaped("ä €", server="UTF8", client="LATIN1") == "ä \\u20ac"
    assert escaped("ä", server="SQL_ASCII", client="SQL_ASCII") == "\\xe4"


def test_a_driver_tells_its_encodings(encoding: str) -> None:
    connection.ensure_connection()
    assert fitted("ä €", connection.connection) == kept("ä €", encoding)
