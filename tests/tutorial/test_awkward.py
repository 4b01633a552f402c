from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pgtrigger
import pytest
from django.contrib.postgres.search import SearchQuery
from django.db import DatabaseError, connection, connections, transaction

from demo_site.awkward import models as awkward
from demo_site.routers import ArchiveRouter

pytestmark = pytest.mark.django_db(databases=["default", "archive"])


def _refused(act: Callable[[], object], message: str, *, using: str = "default") -> None:
    with pytest.raises(DatabaseError, match=message), transaction.atomic(using=using):
        act()


def test_every_trigger_is_installed_where_the_router_wants_it() -> None:
    for model, trigger in pgtrigger.registered():
        home = "archive" if model is awkward.ArchivedDocument else "default"
        other = "default" if home == "archive" else "archive"
        uri = trigger.get_uri(model)
        assert trigger.get_installation_status(model, database=home) == ("INSTALLED", True), uri
        assert trigger.get_installation_status(model, database=other) == ("UNALLOWED", None), uri


def test_nothing_lives_in_a_database_that_is_not_postgresql() -> None:
    assert ArchiveRouter().allow_migrate("lite", "tutorial", "fsm") is False
    assert ArchiveRouter().allow_migrate("lite", "trigger_ops", "anything") is False


@pytest.mark.parametrize(
    ("taken_on", "sensor", "partition"),
    [
        (date(2024, 5, 1), "roof", "awkward_measurement_2024"),
        (date(2025, 5, 1), "roof", "awkward_measurement_2025_roof"),
        (date(2025, 5, 1), "cellar", "awkward_measurement_2025_other"),
        (date(2030, 5, 1), "roof", "awkward_measurement_later"),
    ],
)
def test_partitions_are_protected(taken_on: date, sensor: str, partition: str) -> None:
    row = awkward.Measurement.objects.create(taken_on=taken_on, sensor=sensor, value=Decimal(1))
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM awkward_measurement")
        assert cursor.fetchall() == [(partition,)]
        _refused(lambda: cursor.execute(f"DELETE FROM {partition}"), f"from {partition} table")
    _refused(row.delete, "Cannot delete rows")


def test_each_partition_has_its_clone_of_the_trigger() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text FROM pg_trigger"
            " WHERE tgname LIKE 'pgtrigger\\_%' AND tgparentid <> 0 ORDER BY 1"
        )
        assert [name for (name,) in cursor.fetchall()] == [
            "awkward_measurement_2024",
            "awkward_measurement_2025",
            "awkward_measurement_2025_other",
            "awkward_measurement_2025_roof",
            "awkward_measurement_later",
        ]


def test_table_in_another_schema_is_append_only() -> None:
    entry = awkward.LedgerEntry.objects.create(account="cash", amount=Decimal(5))
    with connection.cursor() as cursor:
        cursor.execute("SELECT account FROM ledger.entry")
        assert cursor.fetchall() == [("cash",)]
    _refused(entry.save, "Cannot update or delete rows from entry table")
    _refused(entry.delete, "Cannot update or delete rows from entry table")


def test_table_with_capitals_and_blanks_has_a_read_only_field() -> None:
    line = awkward.OrderLine.objects.create(article="hinge", quantity=1)
    line.quantity = 2
    line.save()
    line.article = "bolt"
    _refused(line.save, "from Awkward Order Lines table")


def test_archived_document_lives_in_the_archive_alone() -> None:
    document = awkward.ArchivedDocument.objects.create(title="Report")
    assert document._state.db == "archive"
    _refused(document.delete, "from awkward_archiveddocument table", using="archive")
    table = awkward.ArchivedDocument._meta.db_table
    assert table in connections["archive"].introspection.table_names()
    assert table not in connections["default"].introspection.table_names()


def test_constraint_trigger_waits_for_the_end_of_the_transaction() -> None:
    awkward.Posting.objects.create(booking=1, amount=Decimal(5))
    awkward.Posting.objects.create(booking=1, amount=Decimal(-5))
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")

        def unbalance() -> None:
            awkward.Posting.objects.create(booking=2, amount=Decimal(5))
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

        _refused(unbalance, "Booking 2 is not balanced")


def test_delete_from_the_view_marks_the_line_as_done() -> None:
    line = awkward.OrderLine.objects.create(article="hinge", quantity=1)
    awkward.OpenOrderLine.objects.get(pk=line.pk).delete()
    line.refresh_from_db()
    assert line.done
    assert not awkward.OpenOrderLine.objects.exists()


def test_search_vector_follows_the_text() -> None:
    article = awkward.Article.objects.create(title="Doors", body="How to hang a door.")
    article.body = "How to seal a window."
    article.save(update_fields=["body"])
    found = awkward.Article.objects.filter(search_vector=SearchQuery("windows", config="english"))
    assert list(found) == [article]
