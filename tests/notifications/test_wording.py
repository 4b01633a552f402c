"""What people read is short, in order, and cannot be faked by a name."""

from __future__ import annotations

import pytest
from django.test import override_settings

from tests.notifications.making import change, message
from trigger_ops.notifications.wording import subject, text, worst_first
from trigger_ops.states import EventKind, Level

EVIL = 'a"b\r\nBcc: everybody@example.org\x1b[2J\u202e<!channel><script>\udc80; --'


def test_a_subject_counts_and_names_the_worst() -> None:
    three = message(
        *(change(), change(number=2, level=Level.ERROR)),
        change(EventKind.RESOLVED, number=3),
    )
    assert subject(three) == (
        "[trigger_ops] 2 opened, 1 resolved: CRITICAL trigger_ops.C001 shop.Order:no_del on default"
    )
    assert subject(three, prefix="").startswith("2 opened")


def test_a_finding_about_a_database_has_no_trigger_in_its_subject() -> None:
    one = message(change(uri="", table="", schema="", trigger=""))
    assert subject(one) == "[trigger_ops] 1 opened: CRITICAL trigger_ops.C001 on default"
    assert "where:" not in text(one)


def test_what_is_over_comes_last_whatever_its_level() -> None:
    over = change(EventKind.RESOLVED, number=1)
    warning = change(number=2, level=Level.WARNING)
    error, later = (change(number=number, level=Level.ERROR) for number in (3, 4))
    assert worst_first((over, warning, later, error)) == (error, later, warning, over)


@override_settings(TRIGGER_OPS={"RUNBOOK": "https://wiki.example.org/{code}"})
def test_a_change_is_told_with_all_that_one_needs() -> None:
    assert text(message(change(count=2000))) == (
        "OPENED CRITICAL trigger_ops.C001 shop.Order:no_del on default\n"
        "  where: public.shop_order and 1999 more places\n"
        "  what: The function's body is not what the code says.\n"
        "  fix: manage.py pgtrigger install shop.Order:no_del\n"
        "  first seen: 2026-11-22 12:00:00Z; opened: 2026-11-22 12:00:00Z\n"
        "  see: https://wiki.example.org/C001"
    )


def test_what_is_resolved_says_so_and_asks_for_nothing() -> None:
    told = text(message(change(EventKind.RESOLVED)))
    assert told.startswith("RESOLVED CRITICAL trigger_ops.C001 shop.Order:no_del on default\n")
    assert "  was: The function's body" in told
    assert "; resolved: 2026-11-22 12:00:00Z\n" in told
    assert "fix:" not in told


def test_what_somebody_answers_for_meanwhile_says_so() -> None:
    assert "; somebody answers for it\n" in text(message(change(allowed=True)))


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_has_its_word(kind: EventKind) -> None:
    one = message(change(kind))
    assert f"1 {kind.value}: " in subject(one)
    assert text(one).startswith(f"{kind.value.upper()} CRITICAL ")


def test_many_are_told_in_brief() -> None:
    many = message(*(change(number=number) for number in range(30)))
    told = text(many, at_most=20)
    assert told.count("OPENED") == 20
    assert told.endswith("\n\nAnd 10 more: manage.py pgtrigger check")
    assert "more: manage.py" not in text(message(*many.changes[:20]), at_most=20)


@pytest.mark.parametrize("field", ["uri", "database", "schema", "table", "message", "fix", "code"])
def test_no_name_fakes_a_line(field: str) -> None:
    faked, plain = (message(change(**{field: one})) for one in (EVIL, "plain"))
    assert subject(faked).isprintable()
    assert text(faked).count("\n") == text(plain).count("\n")
    assert all(line.isprintable() for line in text(faked).split("\n"))


def test_a_long_name_makes_no_long_subject() -> None:
    assert len(subject(message(change(uri="x" * 5000)))) == 200


def test_a_test_says_that_it_is_one() -> None:
    assert "a test" in subject(message())
    assert "All is well" in text(message())
