from __future__ import annotations

import io
from typing import Any

import pgtrigger
import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import DatabaseError, connection, models, transaction
from django.db.models import QuerySet

from demo_site import samples
from demo_site.past import damage
from demo_site.past import models as past

pytestmark = pytest.mark.django_db(databases=["default", "archive"])

APPS = ("tutorial", "awkward", "past")


def _catalog() -> list[tuple[Any, ...]]:
    """Return trigger, mode, definition, body and comment for every table of the app `past`."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT tgrelid::regclass::text, tgname, tgenabled::text,
                pg_get_triggerdef(t.oid), prosrc, obj_description(t.oid, 'pg_trigger')
            FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid
            WHERE tgrelid::regclass::text LIKE 'past\\_%' AND NOT tgisinternal ORDER BY 1, 2
            """
        )
        return cursor.fetchall()


def _of(model: type[models.Model]) -> list[tuple[Any, ...]]:
    return [row[1:] for row in _catalog() if row[0] == model._meta.db_table]


def test_five_triggers_are_damaged_each_in_its_own_way() -> None:
    before = {model: _of(model) for model in apps.get_app_config("past").get_models()}
    damage.apply()

    ((name, mode, definition, body, comment),) = _of(past.Invoice)
    assert (name, mode, definition, comment) == (
        *before[past.Invoice][0][:3],
        before[past.Invoice][0][4],
    )
    assert "RAISE" not in body
    assert body != before[past.Invoice][0][3]

    ((name, mode, definition, body, comment),) = _of(past.PriceList)
    assert (name, body) == (before[past.PriceList][0][0], before[past.PriceList][0][3])
    assert "price" in before[past.PriceList][0][2].partition("WHEN")[2]
    assert "price" not in definition.partition("WHEN")[2]
    assert comment != before[past.PriceList][0][4]

    ((name, mode, *rest),) = _of(past.Payroll)
    assert mode == "D"
    assert rest == list(before[past.Payroll][0][2:])

    assert _of(past.Shipment)[0][0] == "pgtrigger_audit"
    assert _of(past.Shipment)[1:] == before[past.Shipment]


def test_orphan_looks_as_pgtrigger_leaves_it() -> None:
    damage.apply()
    (orphan,) = [row for row in _of(past.Contract) if "protect_signed" in row[0]]
    known = {trigger.get_pgid(model) for model, trigger in pgtrigger.registered()}
    assert orphan[0] not in known
    assert orphan[0].startswith("pgtrigger_protect_signed_")
    assert len(orphan[4]) == 40
    assert [pgid for _, pgid, _, _ in pgtrigger.prunable() if pgid == orphan[0]]


def test_damage_is_real() -> None:
    samples.load()
    damage.apply()
    past.Invoice.objects.all().delete()
    assert not past.Invoice.objects.exists()
    past.PriceList.objects.update(price=1)
    past.Payroll.objects.update(employee="nobody")
    past.Shipment.objects.update(destination="Oslo")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM public.dba_audit WHERE table_name = 'past_shipment'")
        assert cursor.fetchone() == (2,)
    signed = past.Contract.objects.filter(signed=True)
    with pytest.raises(DatabaseError, match="past_contract"), transaction.atomic():
        signed.update(party="Nobody")


def test_healthy_triggers_stay_healthy() -> None:
    samples.load()
    damage.apply()
    for act in (
        lambda: past.Receipt.objects.update(number="R-3"),
        lambda: past.Customer.objects.update(email="other@example.org"),
        lambda: past.Shipment.objects.all().delete(),
    ):
        with pytest.raises(DatabaseError, match="pgtrigger: Cannot"), transaction.atomic():
            act()


def test_damaging_again_changes_nothing() -> None:
    damage.apply()
    once = _catalog()
    told = io.StringIO()
    call_command("demo_past", stdout=told)
    assert _catalog() == once
    assert len(told.getvalue().splitlines()) == 5


def test_samples_leave_no_table_empty_and_load_once() -> None:
    assert samples.is_empty()
    samples.load()
    assert not samples.is_empty()
    counts = _counts()
    assert [name for name, count in counts.items() if not count] == []
    samples.load()
    assert _counts() == counts


def _counts() -> dict[str, int]:
    return {
        model._meta.label: QuerySet(model).count()
        for label in APPS
        for model in apps.get_app_config(label).get_models()
    }
