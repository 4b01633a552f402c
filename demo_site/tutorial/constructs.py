"""Every construct of the conditional triggers document, and the changes that make it fire."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import models
from django.db.models import QuerySet

from demo_site.tutorial import models as tutorial
from demo_site.tutorial.changes import ALL, CHANGES, CHAR, DT, ID, INT, START, Action, Change


@dataclass(frozen=True)
class Construct:
    """A model whose trigger has this condition, and for which of the changes it must fire.

    A trigger fires by raising an error or, where ``log`` is a model, by adding a row to it.
    ``note`` says where the library does something else than the document's words.
    """

    code: str
    model: type[models.Model]
    fires: frozenset[str]
    changes: tuple[Change | Action, ...] = CHANGES
    log: type[models.Model] | None = None
    note: str = ""

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self.model.__name__

    def describe(self, fires: Iterable[str]) -> str:
        """Return two lines: for which changes the trigger fires, and for which it does not."""
        fired = set(fires)
        loud = [change.name for change in self.changes if change.name in fired]
        silent = [change.name for change in self.changes if change.name not in fired]
        return f"fires: {'; '.join(loud) or '-'}\nsilent: {'; '.join(silent) or '-'}\n"


def _insert(number: int) -> Action:
    values = {**START, "int_field": number}
    return Action(f"insert {number}", lambda model: QuerySet(model).create(**values))


def _delete(number: int) -> Action:
    values = {**START, "int_field": number}
    return Action(f"delete {number}", lambda model: QuerySet(model).create(**values).delete())


def _shelf(*, closed: bool) -> tutorial.Shelf:
    warehouse = tutorial.Warehouse.objects.create(closed=closed)
    return tutorial.Shelf.objects.create(warehouse=warehouse)


def _store(*, closed: bool) -> tutorial.StockMove:
    return tutorial.StockMove.objects.create(shelf=_shelf(closed=closed), quantity=1)


def _move(*, closed: bool) -> None:
    move = _store(closed=False)
    move.shelf = _shelf(closed=closed)
    move.save()


def _close_then_count() -> None:
    move = _store(closed=False)
    tutorial.Warehouse.objects.filter(shelf=move.shelf).update(closed=True)
    move.save()


STOCK_MOVES = (
    Action("insert, open", lambda _model: _store(closed=False)),
    Action("insert, closed", lambda _model: _store(closed=True)),
    Action("move to open", lambda _model: _move(closed=False)),
    Action("move to closed", lambda _model: _move(closed=True)),
    Action("update after closing", lambda _model: _close_then_count()),
)

CONSTRUCTS = (
    Construct("~AnyChange()", tutorial.MyModel, ALL - (ID | INT | CHAR | DT)),
    Construct("AllDontChange()", tutorial.AllDontChangeAll, ALL - (ID | INT | CHAR | DT)),
    Construct(
        'AllDontChange("int_field", "char_field")',
        tutorial.AllDontChangeFields,
        ALL - (INT | CHAR),
    ),
    Construct("AnyChange()", tutorial.AnyChangeAll, ID | INT | CHAR | DT),
    Construct('AnyChange("int_field", "char_field")', tutorial.AnyChangeFields, INT | CHAR),
    Construct(
        'AnyChange(exclude=["char_field", "dt_field"])', tutorial.AnyChangeExclude, ID | INT
    ),
    Construct("AnyChange(exclude_auto=True)", tutorial.AnyChangeExcludeAuto, ID | INT | CHAR),
    Construct(
        'AnyChange("int_field", "char_field", "dt_field", exclude=["char_field"],'
        " exclude_auto=True)",
        tutorial.AnyChangeIncludedExcluded,
        INT,
    ),
    Construct(
        "AnyDontChange()",
        tutorial.AnyDontChangeAll,
        ALL - (ID | INT | CHAR | DT),
        note="The document says: if any field does not change. The library asks for all of them.",
    ),
    Construct(
        'AnyDontChange("int_field", "char_field")',
        tutorial.AnyDontChangeFields,
        ALL - (INT & CHAR),
    ),
    Construct('AnyDontChange("char_field")', tutorial.AnyDontChangeChar, ALL - CHAR),
    Construct("AllChange()", tutorial.AllChangeAll, ID & INT & CHAR & DT),
    Construct('AllChange("int_field", "char_field")', tutorial.AllChangeFields, INT & CHAR),
    Construct(
        'AllChange(exclude=["dt_field"])',
        tutorial.AllChangeExclude,
        ID & INT & CHAR,
        note="The primary key is a field too: it fires only where that changes as well.",
    ),
    Construct('~AllChange("int_field", "char_field")', tutorial.NotAllChange, ALL - (INT & CHAR)),
    Construct('~AllDontChange("int_field", "char_field")', tutorial.NotAllDontChange, INT | CHAR),
    Construct('~AnyDontChange("int_field", "char_field")', tutorial.NotAnyDontChange, INT & CHAR),
    Construct(
        'ReadOnly(fields=["int_field", "char_field"])', tutorial.ReadOnlyIntAndChar, INT | CHAR
    ),
    Construct('ReadOnly(exclude=["dt_field"])', tutorial.ReadOnlyExclude, ID | INT | CHAR),
    Construct("ReadOnly()", tutorial.ReadOnlyAll, ID | INT | CHAR | DT),
    Construct(
        'Condition("OLD.* IS DISTINCT FROM NEW.*")', tutorial.RawAnyChange, ID | INT | CHAR | DT
    ),
    Construct(
        "Q(old__int_field__gt=0)",
        tutorial.OldIntPositive,
        ALL - {"int below 0", "int stays 0"},
    ),
    Construct(
        'Q(old__int_field__gt=F("new__int_field"))',
        tutorial.OldIntGreater,
        frozenset({"int down to 0", "int below 0"}),
    ),
    Construct('Q(old__char_field__df=F("new__char_field"))', tutorial.DistinctChar, CHAR),
    Construct(
        'Q(old__char_field__ndf=F("new__char_field"))', tutorial.NotDistinctChar, ALL - CHAR
    ),
    Construct(
        'Q(old__char_field__ndf=F("new__char_field")) | Q(new__int_field=0)',
        tutorial.OrCondition,
        (ALL - CHAR) | {"int to 0 + char"},
        changes=(*CHANGES, Change("int to 0 + char", new={"int_field": 0, "char_field": "b"})),
    ),
    Construct(
        'Q(old__char_field__ndf=F("new__char_field")) & Q(new__int_field=0)',
        tutorial.AndCondition,
        frozenset({"int down to 0", "int stays 0"}),
        changes=(*CHANGES, Change("int to 0 + char", new={"int_field": 0, "char_field": "b"})),
    ),
    Construct(
        '~Q(old__int_field__gt=F("new__int_field"))',
        tutorial.NegatedCondition,
        ALL - {"int down to 0", "int below 0"},
    ),
    Construct(
        "Q(new__int_field__lt=0) on insert",
        tutorial.NewIntOnInsert,
        frozenset({"insert -1"}),
        changes=(*map(_insert, (-1, 0, 1)), Change("int below 0", new={"int_field": -1})),
    ),
    Construct(
        "Q(old__int_field__gt=0) on delete",
        tutorial.OldIntOnDelete,
        frozenset({"delete 1"}),
        changes=(*map(_delete, (-1, 0, 1)), Change("int up", new={"int_field": 2})),
    ),
    Construct(
        "IF EXISTS (SELECT … JOIN …) in the function",
        tutorial.StockMove,
        frozenset({"insert, closed", "move to closed", "update after closing"}),
        changes=STOCK_MOVES,
    ),
    Construct(
        'Composer(level=Statement, condition=AnyChange("int_field"))',
        tutorial.StatementComposer,
        INT - ID,
        log=tutorial.StatementLog,
        note="Old and new rows are joined by primary key: where that changes, nothing matches.",
    ),
    Construct(
        'Protect(level=Statement, condition=AnyChange("int_field"))',
        tutorial.StatementProtect,
        INT - ID,
        note="Old and new rows are joined by primary key: where that changes, nothing matches.",
    ),
)
