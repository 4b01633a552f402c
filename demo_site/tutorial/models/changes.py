"""One model for each way to say which fields change, or do not."""

from __future__ import annotations

import pgtrigger
from django.db import models


class MyModelFields(models.Model):
    """The fields of the document's ``MyModel``."""

    int_field = models.IntegerField()
    char_field = models.CharField(null=True)
    dt_field = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class MyModel(MyModelFields):
    """Refuses an update that changes no field, said with a negation."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=~pgtrigger.AnyChange(),
            )
        ]


class AllDontChangeAll(MyModelFields):
    """Refuses an update that changes no field: the equivalent of :class:`MyModel`."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.AllDontChange(),
            )
        ]


class AllDontChangeFields(MyModelFields):
    """Refuses an update that leaves both fields alone."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.AllDontChange("int_field", "char_field"),
            )
        ]


class AnyChangeAll(MyModelFields):
    """Refuses an update that changes a field, whichever."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(),
            )
        ]


class AnyChangeFields(MyModelFields):
    """Refuses an update that changes one of two fields."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("int_field", "char_field"),
            )
        ]


class AnyChangeExclude(MyModelFields):
    """Refuses an update that changes a field other than the excluded ones."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(exclude=["char_field", "dt_field"]),
            )
        ]


class AnyChangeExcludeAuto(MyModelFields):
    """Refuses an update that changes a field Django does not set by itself."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(exclude_auto=True),
            )
        ]


class AnyChangeIncludedExcluded(MyModelFields):
    """Refuses an update of what is left when fields are included, then excluded."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(
                    "int_field",
                    "char_field",
                    "dt_field",
                    exclude=["char_field"],
                    exclude_auto=True,
                ),
            )
        ]


class AnyDontChangeAll(MyModelFields):
    """The library reads ``AnyDontChange()`` without fields as: no field changes."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyDontChange(),
            )
        ]


class AnyDontChangeFields(MyModelFields):
    """Refuses an update that leaves at least one of two fields alone."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyDontChange("int_field", "char_field"),
            )
        ]


class AnyDontChangeChar(MyModelFields):
    """Refuses an update that leaves one field alone."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyDontChange("char_field"),
            )
        ]


class AllChangeAll(MyModelFields):
    """Refuses an update that changes every field, the primary key too."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.AllChange(),
            )
        ]


class AllChangeFields(MyModelFields):
    """Refuses an update that changes both fields."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.AllChange("int_field", "char_field"),
            )
        ]


class AllChangeExclude(MyModelFields):
    """Refuses an update that changes every field but the excluded one."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.AllChange(exclude=["dt_field"]),
            )
        ]


class NotAllChange(MyModelFields):
    """A negation: refuses an update that leaves at least one of two fields alone."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=~pgtrigger.AllChange("int_field", "char_field"),
            )
        ]


class NotAllDontChange(MyModelFields):
    """A negation: refuses an update that changes one of two fields."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=~pgtrigger.AllDontChange("int_field", "char_field"),
            )
        ]


class NotAnyDontChange(MyModelFields):
    """A negation: refuses an update that changes both fields."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=~pgtrigger.AnyDontChange("int_field", "char_field"),
            )
        ]


class RawAnyChange(MyModelFields):
    """Refuses an update that changes a field, said in SQL."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.* IS DISTINCT FROM NEW.*"),
            )
        ]


class ReadOnlyIntAndChar(MyModelFields):
    """Two read-only fields: the equivalent of :class:`AnyChangeFields`."""

    class Meta:
        triggers = [pgtrigger.ReadOnly(name="read_only", fields=["int_field", "char_field"])]


class ReadOnlyExclude(MyModelFields):
    """All fields are read-only except one."""

    class Meta:
        triggers = [pgtrigger.ReadOnly(name="read_only", exclude=["dt_field"])]


class ReadOnlyAll(MyModelFields):
    """All fields are read-only."""

    class Meta:
        triggers = [pgtrigger.ReadOnly(name="read_only")]
