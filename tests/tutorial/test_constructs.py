from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import NamedTuple

import pytest
from django.db import DatabaseError, connection, models, transaction
from django.db.models import F, QuerySet

from demo_site.tutorial import models as tutorial
from demo_site.tutorial.constructs import CONSTRUCTS, Construct
from demo_site.tutorial.models.changes import MyModelFields
from demo_site.tutorial.runner import run_construct

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("construct", CONSTRUCTS, ids=lambda construct: construct.name)
def test_construct_fires_for_the_changes_the_document_says(construct: Construct) -> None:
    outcome = run_construct(construct)
    assert outcome.actual == outcome.expected


def test_every_model_with_a_condition_is_a_construct() -> None:
    checked = {construct.model for construct in CONSTRUCTS}
    assert checked >= set(MyModelFields.__subclasses__())
    for construct in CONSTRUCTS:
        assert construct.fires <= {change.name for change in construct.changes}


class Row(NamedTuple):
    int_field: int
    char_field: str | None
    dt_field: datetime


TODAY = datetime(2026, 1, 1, tzinfo=UTC)
TRANSITIONS = [
    (Row(old_int, old_char, TODAY), Row(new_int, new_char, dt))
    for (old_int, new_int), (old_char, new_char), dt in product(
        [(1, 1), (1, 2), (1, 0), (0, 0)],
        [("a", "a"), ("a", "b"), ("a", None), (None, "a"), (None, None)],
        [TODAY, TODAY + timedelta(days=1)],
    )
]


def _any(*names: str) -> Callable[[Row, Row], bool]:
    return lambda old, new: any(getattr(old, name) != getattr(new, name) for name in names)


def _all(*names: str) -> Callable[[Row, Row], bool]:
    return lambda old, new: all(getattr(old, name) != getattr(new, name) for name in names)


def _not(rule: Callable[[Row, Row], bool]) -> Callable[[Row, Row], bool]:
    return lambda old, new: not rule(old, new)


def _never(_old: Row, _new: Row) -> bool:
    return False


ANY = _any("int_field", "char_field", "dt_field")

#: The document's sentences in Python, where None is a value like others. The primary key, which
#: is a field as well, never changes here.
RULES: dict[type[models.Model], Callable[[Row, Row], bool]] = {
    tutorial.MyModel: _not(ANY),
    tutorial.AllDontChangeAll: _not(ANY),
    tutorial.AllDontChangeFields: _not(_any("int_field", "char_field")),
    tutorial.AnyChangeAll: ANY,
    tutorial.RawAnyChange: ANY,
    tutorial.ReadOnlyAll: ANY,
    tutorial.AnyChangeFields: _any("int_field", "char_field"),
    tutorial.ReadOnlyIntAndChar: _any("int_field", "char_field"),
    tutorial.ReadOnlyExclude: _any("int_field", "char_field"),
    tutorial.AnyChangeExclude: _any("int_field"),
    tutorial.AnyChangeExcludeAuto: _any("int_field", "char_field"),
    tutorial.AnyChangeIncludedExcluded: _any("int_field"),
    tutorial.AnyDontChangeFields: _not(_all("int_field", "char_field")),
    tutorial.AnyDontChangeChar: _not(_any("char_field")),
    tutorial.AllChangeAll: _never,
    tutorial.AllChangeExclude: _never,
    tutorial.AllChangeFields: _all("int_field", "char_field"),
    tutorial.NotAllChange: _not(_all("int_field", "char_field")),
    tutorial.NotAllDontChange: _any("int_field", "char_field"),
    tutorial.NotAnyDontChange: _all("int_field", "char_field"),
    tutorial.OldIntPositive: lambda old, _new: old.int_field > 0,
    tutorial.OldIntGreater: lambda old, new: old.int_field > new.int_field,
    tutorial.NegatedCondition: lambda old, new: old.int_field <= new.int_field,
    tutorial.DistinctChar: _any("char_field"),
    tutorial.NotDistinctChar: _not(_any("char_field")),
    tutorial.OrCondition: lambda old, new: old.char_field == new.char_field or new.int_field == 0,
    tutorial.AndCondition: lambda old, new: (
        old.char_field == new.char_field and new.int_field == 0
    ),
    tutorial.StatementProtect: _any("int_field"),
}


def _refused_transitions(model: type[models.Model]) -> list[tuple[Row, Row]]:
    return [
        (old, new)
        for old, new in TRANSITIONS
        if _refused(lambda old=old, new=new: _make(model, old).update(**new._asdict()))
    ]


def _make(model: type[models.Model], old: Row) -> QuerySet[models.Model]:
    row: models.Model = QuerySet(model).create(**old._asdict())
    rows = QuerySet(model).filter(pk=row.pk)
    # auto_now has overwritten the date. Some triggers refuse this very update.
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        rows.update(dt_field=old.dt_field)
        cursor.execute("SET LOCAL session_replication_role = origin")
    return rows


def _refused(act: Callable[[], object]) -> bool:
    try:
        with transaction.atomic():
            act()
    except DatabaseError as error:
        assert str(error).startswith("pgtrigger: Cannot")  # noqa: PT017 (both ways are results)
        return True
    return False


@pytest.mark.parametrize("model", RULES, ids=lambda model: model.__name__)
def test_trigger_fires_for_every_transition_its_sentence_names(model: type[models.Model]) -> None:
    rule = RULES[model]
    assert _refused_transitions(model) == [
        (old, new) for old, new in TRANSITIONS if rule(old, new)
    ]


def _edit_unknown_column(model: type[models.Model]) -> bool:
    """Tell whether the trigger fires when only a column changes that Django does not know."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN unknown integer")
    QuerySet(model).create(int_field=1, char_field="a")
    with connection.cursor() as cursor:
        return _refused(lambda: cursor.execute(f"UPDATE {table} SET unknown = 1"))


def test_negated_any_change_sees_columns_that_all_dont_change_does_not() -> None:
    """Equivalent, says the document. It is, as long as the model has all columns of the table."""
    assert _edit_unknown_column(tutorial.MyModel) is False
    assert _edit_unknown_column(tutorial.AllDontChangeAll) is True


def test_any_change_without_fields_and_raw_condition_see_unknown_columns_alike() -> None:
    assert _edit_unknown_column(tutorial.AnyChangeAll) is True
    assert _edit_unknown_column(tutorial.RawAnyChange) is True


def test_any_dont_change_without_fields_wants_all_fields_unchanged() -> None:
    """Not what the document says: `char_field` does not change here, and nothing fires."""
    row = tutorial.AnyDontChangeAll.objects.create(int_field=1, char_field="a")
    rows = tutorial.AnyDontChangeAll.objects.filter(pk=row.pk)
    assert not _refused(lambda: rows.update(int_field=2))
    assert _refused(lambda: rows.update(int_field=F("int_field")))


def test_all_change_without_fields_counts_the_primary_key() -> None:
    row = tutorial.AllChangeExclude.objects.create(int_field=1, char_field="a")
    rows = tutorial.AllChangeExclude.objects.filter(pk=row.pk)
    assert not _refused(lambda: rows.update(int_field=2, char_field="b"))
    assert _refused(lambda: rows.update(int_field=3, char_field="c", id=row.pk + 1))


def test_saving_moves_the_auto_now_field_which_exclude_auto_ignores() -> None:
    lenient = tutorial.AnyChangeExcludeAuto.objects.create(int_field=1)
    strict = tutorial.AnyChangeAll.objects.create(int_field=1)
    before = lenient.dt_field
    assert not _refused(lenient.save)
    assert lenient.dt_field > before
    assert _refused(strict.save)


def test_statement_level_composer_fires_once_for_all_rows_of_a_statement() -> None:
    rows = [
        tutorial.StatementComposer.objects.create(int_field=number, char_field=None)
        for number in (1, 2, 2, 5)
    ]
    changed = tutorial.StatementComposer.objects.filter(pk__in=[row.pk for row in rows])
    changed.update(int_field=2)
    changed.update(char_field="b")
    assert [log.rows_changed for log in tutorial.StatementLog.objects.all()] == [2]


def test_condition_over_two_tables_follows_the_other_table() -> None:
    warehouse = tutorial.Warehouse.objects.create()
    shelf = tutorial.Shelf.objects.create(warehouse=warehouse)
    move = tutorial.StockMove.objects.create(shelf=shelf, quantity=1)
    warehouse.closed = True
    warehouse.save()
    with pytest.raises(DatabaseError, match="is in a closed warehouse"), transaction.atomic():
        move.save()
    warehouse.closed = False
    warehouse.save()
    move.save()
