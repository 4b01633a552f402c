"""Models whose tables or triggers are unusual in one way each."""

from __future__ import annotations

import pgtrigger
from django.contrib.postgres.search import SearchVectorField
from django.db import models


class Measurement(models.Model):
    """A table in partitions by year, one of which is partitioned once more by sensor.

    PostgreSQL wants the partition keys in the primary key: the table's is ``(id, taken_on,
    sensor)``, made by the migration, and Django is told of ``id`` alone.
    """

    taken_on = models.DateField()
    sensor = models.CharField(max_length=16)
    value = models.DecimalField(max_digits=8, decimal_places=2)

    class Meta:
        triggers = [pgtrigger.Protect(name="protect_deletes", operation=pgtrigger.Delete)]


class LedgerEntry(models.Model):
    """A table in the schema ``ledger``, named the way that pgtrigger's users name it."""

    account = models.CharField(max_length=32)
    amount = models.DecimalField(max_digits=12, decimal_places=2)

    class Meta:
        db_table = 'ledger"."entry'
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)
        ]


class OrderLine(models.Model):
    """A table whose name has capitals and blanks."""

    article = models.CharField(max_length=64)
    quantity = models.IntegerField()
    done = models.BooleanField(default=False)

    class Meta:
        db_table = "Awkward Order Lines"
        triggers = [
            pgtrigger.ReadOnly(name="read_only_article", fields=["article"]),
        ]


class ArchivedDocument(models.Model):
    """A table of the database ``archive``. The router keeps it out of ``default``."""

    title = models.CharField(max_length=64)

    class Meta:
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)
        ]


class Posting(models.Model):
    """One side of a booking. A constraint trigger adds them up when the transaction commits."""

    booking = models.IntegerField(db_index=True)
    amount = models.DecimalField(max_digits=12, decimal_places=2)

    class Meta:
        triggers = [
            pgtrigger.Trigger(
                name="check_balance",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.Update,
                timing=pgtrigger.Deferred,
                func="""
                IF (SELECT sum(amount) FROM awkward_posting WHERE booking = NEW.booking) <> 0 THEN
                    RAISE EXCEPTION 'pgtrigger: Booking % is not balanced', NEW.booking;
                END IF;
                RETURN NULL;
                """,
            )
        ]


class OpenOrderLine(models.Model):
    """A view of the order lines that are not done. A delete marks its line as done."""

    article = models.CharField(max_length=64)
    quantity = models.IntegerField()

    class Meta:
        managed = False
        triggers = [
            pgtrigger.Trigger(
                name="delete_marks_done",
                when=pgtrigger.InsteadOf,
                operation=pgtrigger.Delete,
                func="""
                UPDATE "Awkward Order Lines" SET done = true WHERE id = OLD.id;
                RETURN OLD;
                """,
            )
        ]


class Article(models.Model):
    """A text that PostgreSQL keeps ready for full text search."""

    title = models.CharField(max_length=128)
    body = models.TextField()
    search_vector = SearchVectorField(null=True, editable=False)

    class Meta:
        triggers = [
            pgtrigger.UpdateSearchVector(
                name="update_search_vector",
                vector_field="search_vector",
                document_fields=["title", "body"],
            )
        ]
