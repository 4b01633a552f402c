from __future__ import annotations

import pytest
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
