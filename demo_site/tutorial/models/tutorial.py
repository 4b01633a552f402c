"""The models of the django-pgtrigger tutorial, as it prints them."""

from __future__ import annotations

import pghistory
import pgtrigger
from django.db import models


class CannotDelete(models.Model):
    """This model cannot be deleted."""

    class Meta:
        triggers = [pgtrigger.Protect(name="protect_deletes", operation=pgtrigger.Delete)]


class AppendOnly(models.Model):
    """This model can only be appended: no row is updated or deleted."""

    int_field = models.IntegerField()

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="append_only",
                operation=pgtrigger.Update | pgtrigger.Delete,
            )
        ]


class ReadOnlyField(models.Model):
    """The field ``created_at`` cannot be updated. Other fields can."""

    created_at = models.DateTimeField(auto_now_add=True)
    int_field = models.IntegerField()

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="read_only",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__created_at__df=pgtrigger.F("new__created_at")),
            )
        ]


class ReadOnlyFields(models.Model):
    """Neither ``created_at`` nor ``int_field`` can be updated."""

    created_at = models.DateTimeField(auto_now_add=True)
    int_field = models.IntegerField()

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="multiple_read_only",
                operation=pgtrigger.Update,
                condition=(
                    pgtrigger.Q(old__created_at__df=pgtrigger.F("new__created_at"))
                    | pgtrigger.Q(old__int_field__df=pgtrigger.F("new__int_field"))
                ),
            )
        ]


class SoftDelete(models.Model):
    """This model cannot be deleted: a delete sets ``is_active`` to False instead."""

    is_active = models.BooleanField(default=True)

    class Meta:
        triggers = [pgtrigger.SoftDelete(name="soft_delete", field="is_active", value=False)]


class Versioned(models.Model):
    """Each real update raises ``version`` by one. Nobody can set it directly."""

    version = models.IntegerField(default=0)
    char_field = models.CharField(max_length=32)

    class Meta:
        triggers = [
            # Protect anyone editing the version field directly
            pgtrigger.Protect(
                name="protect_version_edits",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__version__df=pgtrigger.F("new__version")),
            ),
            # Increment the version field on changes
            pgtrigger.Trigger(
                name="versioned",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                func="NEW.version = NEW.version + 1; RETURN NEW;",
                # Don't increment version on redundant updates.
                condition=pgtrigger.Condition("OLD.* IS DISTINCT FROM NEW.*"),
            ),
        ]


class OfficialInterfaceManager(models.Manager["OfficialInterface"]):
    """The one way to make an :class:`OfficialInterface`."""

    @pgtrigger.ignore("tutorial.OfficialInterface:protect_inserts")
    def official_create(self) -> OfficialInterface:
        """Create a row while the trigger that forbids it is ignored, in this thread only."""
        return self.create()


class OfficialInterface(models.Model):
    """Inserts are protected: only ``objects.official_create()`` makes a row."""

    objects = OfficialInterfaceManager()

    class Meta:
        triggers = [pgtrigger.Protect(name="protect_inserts", operation=pgtrigger.Insert)]


class FSM(models.Model):
    """The field ``status`` only makes the configured transitions."""

    class Status(models.TextChoices):
        """States, in the order in which a row may pass through them."""

        UNPUBLISHED = "unpublished"
        PUBLISHED = "published"
        INACTIVE = "inactive"

    status = models.CharField(choices=Status.choices, default=Status.UNPUBLISHED, max_length=16)

    class Meta:
        triggers = [
            pgtrigger.FSM(
                name="validate_status_transitions",
                field="status",
                transitions=[
                    ("unpublished", "published"),
                    ("unpublished", "inactive"),
                    ("published", "inactive"),
                ],
            )
        ]


@pghistory.track(
    # Create a "snapshot" event on every insert and update
    pghistory.InsertEvent("snapshot"),
    pghistory.UpdateEvent("snapshot"),
    # Create a "create" event whenever a row is created
    pghistory.InsertEvent("create"),
    # Create a "low_int" event on every update where int_field < 0. PostgreSQL fires triggers in
    # the order of their names, and a diff compares with the event before, whatever its label: so
    # this name sorts behind "snapshot_update".
    pghistory.UpdateEvent(
        "low_int",
        condition=pgtrigger.Q(new__int_field__lt=0),
        trigger_name="update_low_int",
    ),
    obj_field=pghistory.ObjForeignKey(related_name="event", related_query_name="event"),
)
class Tracked(models.Model):
    """django-pghistory records every change of this model as an event."""

    int_field = models.IntegerField()
    char_field = models.CharField(max_length=64)
