"""Conditions over more than one row: across tables, and over all rows of a statement."""

from __future__ import annotations

import pgtrigger
from django.db import models

from demo_site.tutorial.models.changes import MyModelFields


class Warehouse(models.Model):
    """A warehouse. Nothing moves in a closed one."""

    closed = models.BooleanField(default=False)


class Shelf(models.Model):
    """A shelf of a warehouse."""

    warehouse = models.ForeignKey(Warehouse, on_delete=models.CASCADE)


class StockMove(models.Model):
    """Goods on a shelf. The trigger's function asks two other tables, as no WHEN clause can."""

    shelf = models.ForeignKey(Shelf, on_delete=models.CASCADE)
    quantity = models.IntegerField()

    class Meta:
        triggers = [
            pgtrigger.Trigger(
                name="protect_closed_warehouse",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func="""
                IF EXISTS (
                    SELECT 1
                    FROM tutorial_shelf shelf
                    JOIN tutorial_warehouse warehouse ON warehouse.id = shelf.warehouse_id
                    WHERE shelf.id = NEW.shelf_id AND warehouse.closed
                ) THEN
                    RAISE EXCEPTION 'pgtrigger: Shelf % is in a closed warehouse', NEW.shelf_id;
                END IF;
                RETURN NEW;
                """,
            )
        ]


class StatementComposer(MyModelFields):
    """Each update statement writes one log row if it changes ``int_field`` in some row."""

    class Meta:
        triggers = [
            pgtrigger.Composer(
                name="log_int_changes",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                declare=[("changed", "INTEGER")],
                condition=pgtrigger.AnyChange("int_field"),
                func=pgtrigger.Func(  # type: ignore[no-untyped-call]  # pgtrigger has no hint for it
                    """
                    SELECT count(*) INTO changed FROM {cond_joined_values};
                    IF changed > 0 THEN
                        INSERT INTO tutorial_statementlog (rows_changed) VALUES (changed);
                    END IF;
                    RETURN NULL;
                    """
                ),
            )
        ]


class StatementLog(models.Model):
    """How many rows one statement changed in the table of :class:`StatementComposer`."""

    rows_changed = models.IntegerField()


class StatementProtect(MyModelFields):
    """Refuses an update statement that changes ``int_field`` in some row."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                level=pgtrigger.Statement,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("int_field"),
            )
        ]
