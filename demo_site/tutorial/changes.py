"""What is done to a row to see whether its trigger fires."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models import F, QuerySet

#: The row before a change, where a change says nothing else.
START: Mapping[str, Any] = {"int_field": 1, "char_field": "a"}

NEXT_DAY = F("dt_field") + timedelta(days=1)
OTHER_ID = F("id") + 1_000_000


@dataclass(frozen=True)
class Change:
    """One thing to do to the table of a model.

    Called with the model, it works on a new row. ``old`` are the fields in which the row differs
    from ``START``, ``new`` the values it is updated to. An update that changes nothing is sent too.
    """

    name: str
    old: Mapping[str, Any] = field(default_factory=dict)
    new: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, model: type[models.Model]) -> None:
        """Create the row, then update it."""
        row: models.Model = QuerySet(model).create(**{**START, **self.old})
        QuerySet(model).filter(pk=row.pk).update(**{"int_field": F("int_field"), **self.new})


@dataclass(frozen=True)
class Action:
    """A change that is more than one update of one row."""

    name: str
    act: Callable[[type[models.Model]], object]

    def __call__(self, model: type[models.Model]) -> None:
        """Do it."""
        self.act(model)


def _save(model: type[models.Model]) -> None:
    QuerySet(model).create(**START).save()


#: What every model with the fields of ``MyModel`` is put through.
CHANGES: tuple[Change | Action, ...] = (
    Change("nothing"),
    Change("int up", new={"int_field": 2}),
    Change("int down to 0", new={"int_field": 0}),
    Change("int below 0", old={"int_field": 0}, new={"int_field": -1}),
    Change("int stays 0", old={"int_field": 0}),
    Change("char", new={"char_field": "b"}),
    Change("char to NULL", new={"char_field": None}),
    Change("char from NULL", old={"char_field": None}, new={"char_field": "a"}),
    Change("char stays NULL", old={"char_field": None}),
    Change("dt", new={"dt_field": NEXT_DAY}),
    Action("save()", _save),
    Change("int + char", new={"int_field": 2, "char_field": "b"}),
    Change("int + char to NULL", new={"int_field": 2, "char_field": None}),
    Change("int + dt", new={"int_field": 2, "dt_field": NEXT_DAY}),
    Change("int, char stays NULL", old={"char_field": None}, new={"int_field": 2}),
    Change("int + char + dt", new={"int_field": 2, "char_field": "b", "dt_field": NEXT_DAY}),
    Change("id + int + char", new={"id": OTHER_ID, "int_field": 2, "char_field": "b"}),
    Change(
        "all fields",
        new={"id": OTHER_ID, "int_field": 2, "char_field": "b", "dt_field": NEXT_DAY},
    ),
)

ALL = frozenset(change.name for change in CHANGES)

#: The changes in which one field differs between the old row and the new one.
ID = frozenset({"id + int + char", "all fields"})
INT = ID | {
    "int up",
    "int down to 0",
    "int below 0",
    "int + char",
    "int + char to NULL",
    "int + dt",
    "int, char stays NULL",
    "int + char + dt",
}
CHAR = ID | {
    "char",
    "char to NULL",
    "char from NULL",
    "int + char",
    "int + char to NULL",
    "int + char + dt",
}
DT = frozenset({"dt", "save()", "int + dt", "int + char + dt", "all fields"})
