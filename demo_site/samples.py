"""Rows for every table of the demo site, so that no list is empty."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db import models, transaction
from django.db.models import QuerySet

from demo_site.awkward import models as awkward
from demo_site.past import models as past
from demo_site.tutorial import models as tutorial
from demo_site.tutorial.models.changes import MyModelFields

Rows = tuple[Mapping[str, Any], ...]

#: Rows of models that take whatever is inserted.
ROWS: dict[type[models.Model], Rows] = {
    tutorial.CannotDelete: ({}, {}),
    tutorial.AppendOnly: ({"int_field": 1}, {"int_field": 2}),
    tutorial.ReadOnlyField: ({"int_field": 1}, {"int_field": 2}),
    tutorial.ReadOnlyFields: ({"int_field": 1}, {"int_field": 2}),
    tutorial.SoftDelete: ({"is_active": True}, {"is_active": False}),
    tutorial.Versioned: ({"char_field": "hello"}, {"char_field": "hi", "version": 3}),
    tutorial.FSM: ({"status": "unpublished"}, {"status": "published"}, {"status": "inactive"}),
    tutorial.StatementLog: ({"rows_changed": 1},),
    awkward.Measurement: (
        {"taken_on": date(2024, 3, 1), "sensor": "roof", "value": Decimal("3.50")},
        {"taken_on": date(2025, 3, 1), "sensor": "roof", "value": Decimal("4.25")},
        {"taken_on": date(2025, 3, 1), "sensor": "cellar", "value": Decimal("9.75")},
        {"taken_on": date(2026, 3, 1), "sensor": "roof", "value": Decimal("5.00")},
    ),
    awkward.LedgerEntry: (
        {"account": "cash", "amount": Decimal("120.00")},
        {"account": "sales", "amount": Decimal("-120.00")},
    ),
    awkward.OrderLine: (
        {"article": "hinge", "quantity": 12},
        {"article": "bolt", "quantity": 40, "done": True},
    ),
    awkward.ArchivedDocument: ({"title": "Report of 2019"}, {"title": "Report of 2020"}),
    awkward.Posting: (
        {"booking": 1, "amount": Decimal("75.00")},
        {"booking": 1, "amount": Decimal("-75.00")},
    ),
    awkward.Article: (
        {"title": "Doors", "body": "How to hang a door."},
        {"title": "Windows", "body": "How to seal a window."},
    ),
    past.Invoice: (
        {"number": "2026-001", "total": Decimal("310.00")},
        {"number": "2026-002", "total": Decimal("45.90")},
    ),
    past.PriceList: (
        {"article": "hinge", "price": Decimal("4.20")},
        {"article": "bolt", "price": Decimal("0.35")},
    ),
    past.Payroll: (
        {"employee": "A. Berg", "salary": Decimal("4100.00")},
        {"employee": "C. Dahl", "salary": Decimal("3900.00")},
    ),
    past.Contract: ({"party": "Holm & Sons", "signed": True}, {"party": "Lund Ltd"}),
    past.Shipment: ({"destination": "Aarhus"}, {"destination": "Malmo"}),
    past.Receipt: ({"number": "R-1"}, {"number": "R-2"}),
    past.Customer: ({"name": "E. Falk", "email": "falk@example.org"},),
}


def load() -> None:
    """Add rows to the tables that have none, in both databases. Others are left alone.

    Each row goes through the triggers of its table. The migrations must have run.
    """
    with transaction.atomic(), transaction.atomic(using="archive"):
        for model, rows in {**ROWS, **_rows_of_constructs()}.items():
            _fill(model, lambda model=model, rows=rows: _create(model, rows))  # type: ignore[misc]  # mypy cannot infer a default's type
        for model, make in SPECIAL.items():
            _fill(model, make)


def is_empty() -> bool:
    """Tell whether no sample row was ever loaded."""
    return not QuerySet(past.Invoice).exists()


def _fill(model: type[models.Model], make: Callable[[], object]) -> None:
    if not QuerySet(model).exists():
        make()


def _create(model: type[models.Model], rows: Rows) -> None:
    for row in rows:
        QuerySet(model).create(**row)


def _rows_of_constructs() -> dict[type[models.Model], Rows]:
    rows: Rows = (
        {"int_field": 1, "char_field": "a"},
        {"int_field": 0, "char_field": None},
    )
    return {
        model: rows
        for model in apps.get_app_config("tutorial").get_models()
        if issubclass(model, MyModelFields)
    }


def _official() -> None:
    tutorial.OfficialInterface.objects.official_create()


def _tracked() -> None:
    tracked = tutorial.Tracked.objects.create(int_field=1, char_field="hello")
    tracked.int_field = -1
    tracked.save()


def _stock() -> None:
    for closed in (False, True):
        warehouse = tutorial.Warehouse.objects.create(closed=False)
        shelf = tutorial.Shelf.objects.create(warehouse=warehouse)
        tutorial.StockMove.objects.create(shelf=shelf, quantity=5)
        tutorial.Warehouse.objects.filter(pk=warehouse.pk).update(closed=closed)


#: How the other tables get their first rows.
SPECIAL: dict[type[models.Model], Callable[[], object]] = {
    tutorial.OfficialInterface: _official,
    tutorial.Tracked: _tracked,
    tutorial.Warehouse: _stock,
}
