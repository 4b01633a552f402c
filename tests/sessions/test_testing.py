from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.db.transaction import atomic
from django.test import TestCase

from demo_site.past.models import Receipt
from tests.sessions.conftest import REASON, RECEIPT
from trigger_ops import api
from trigger_ops.models import Change, Session
from trigger_ops.sql.functions import expected_functions
from trigger_ops.testing import sessions_in_tests, sessions_within_tests

__all__ = ["sessions_within_tests"]


def guard() -> None:
    """Turn the guard on as far as a session needs it; the test's rollback turns it off again."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        (home,) = cursor.fetchone()
        for function in expected_functions("guard", home=home, schema=home):
            cursor.execute(function.statement)
        cursor.execute("INSERT INTO trigger_ops_guard (one, policy) VALUES (1, 'record')")


class InATestCase(TestCase):
    def test_a_session_is_opened_and_ended_on_the_connection_of_the_test(self) -> None:
        guard()
        receipt = Receipt.objects.create(number="wrong")
        with sessions_in_tests(), api.session(RECEIPT, reason=REASON) as running:
            Receipt.objects.update(number="right")
        assert Session.objects.get(pk=running.id).state == "ended"
        receipt.refresh_from_db()
        assert receipt.number == "right"
        with pytest.raises(DatabaseError) as caught, atomic():
            Receipt.objects.update(number="late")
        assert api.is_trigger_error(caught.value)


class ACommandInATestCase(TestCase):
    """Each test needs what the one before it could have broken: the connection of the class."""

    def correct(self, *words: str) -> str:
        guard()
        err = io.StringIO()
        Receipt.objects.create(number="wrong")
        asked = ("pgtrigger", "session", "run", RECEIPT, "--reason", REASON, "--")
        with sessions_in_tests():
            call_command(*asked, *words, stdout=io.StringIO(), stderr=err)
        return err.getvalue()

    def test_a_session_is_run_on_the_connection_of_the_test(self) -> None:
        assert " is ended: " in self.correct("correct_receipt", "wrong", "right")
        assert Receipt.objects.get().number == "right"

    def test_a_command_that_fails_leaves_the_test_its_transaction(self) -> None:
        with pytest.raises(CommandError) as caught:
            self.correct("correct_receipt", "none", "right")
        assert caught.value.returncode == 1
        assert Receipt.objects.get().number == "wrong"


@pytest.mark.usefixtures("sessions_within_tests")
def test_the_fixture_does_the_same() -> None:
    guard()
    Receipt.objects.create(number="wrong")
    with api.session(RECEIPT, reason=REASON) as running:
        Receipt.objects.update(number="right")
    assert Session.objects.get(pk=running.id).state == "ended"
    assert not Change.objects.filter(session_id=None).exists()


def test_nothing_of_it_is_left(db: None) -> None:
    assert not Session.objects.exists()
