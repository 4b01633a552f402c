"""What is remembered: by whom it was signed, when it is written, and where it cannot be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import connection

from tests.damage import pgid, run
from tests.weaknesses.expectations import PRICES, check, the
from trigger_ops import api, ledger
from trigger_ops.models import CanonicalForm

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_minted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.inspecting, "_minted", {})
    CanonicalForm.objects.all().delete()


def test_what_is_remembered_is_read_back() -> None:
    assert ledger.remember_conditions({"k" * 64: "(old.a > 1)"}) == 1
    assert ledger.remembered_conditions() == {"k" * 64: "(old.a > 1)"}
    assert ledger.remember_conditions({"k" * 64: "(old.a > 2)"}) == 1
    assert ledger.remembered_conditions() == {"k" * 64: "(old.a > 2)"}


@pytest.mark.parametrize(
    "change",
    [
        {"condition": "(false)"},
        {"key": "x" * 64},
        {"signature": "0" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_form_that_was_changed_by_hand_is_not_believed(change: dict[str, str]) -> None:
    ledger.remember_conditions({"k" * 64: "(old.a > 1)"})
    CanonicalForm.objects.update(**change)
    assert ledger.remembered_conditions() == {}


def test_a_form_signed_with_another_key_is_not_believed(settings: object) -> None:
    ledger.remember_conditions({"k" * 64: "(old.a > 1)"})
    settings.SECRET_KEY = "another"  # type: ignore[attr-defined]  # pytest-django's settings take any name
    assert ledger.remembered_conditions() == {}


def test_a_forged_form_does_not_make_a_gutted_condition_green() -> None:
    """Whoever can write our table puts the tampered condition there as the canonical one."""
    check(record=True)
    run(
        "CREATE OR REPLACE TRIGGER {trigger} BEFORE UPDATE ON past_pricelist FOR EACH ROW "
        "WHEN (false) EXECUTE FUNCTION {trigger}()",
        trigger=pgid(PRICES),
    )
    CanonicalForm.objects.update(condition="(false)")
    assert the(check(), "C004", PRICES)


@pytest.mark.parametrize(
    "write",
    [
        lambda: check(record=True),
        lambda: call_command("pgtrigger", "install", PRICES, verbosity=0),
        lambda: call_command("migrate", verbosity=0),
    ],
    ids=["check --record", "install", "migrate"],
)
def test_whoever_writes_anyway_remembers(write: Callable[[], object]) -> None:
    assert not CanonicalForm.objects.exists()
    write()
    assert CanonicalForm.objects.exists()


@pytest.mark.parametrize("read", [check, api.survey, api.inspect])
def test_whoever_reads_writes_nothing(read: Callable[[], object]) -> None:
    read()
    assert not CanonicalForm.objects.exists()


def test_before_our_table_is_there_nothing_is_remembered_and_nothing_fails() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE trigger_ops_canonicalform")
    assert ledger.remember_conditions({"k" * 64: "(old.a > 1)"}) == 0
    assert ledger.remembered_conditions() == {}
    assert check(record=True).complete
