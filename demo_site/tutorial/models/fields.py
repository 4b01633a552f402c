"""One model for each way to speak of the old and the new row with ``Q`` and ``F``."""

from __future__ import annotations

import pgtrigger

from demo_site.tutorial.models.changes import MyModelFields


class OldIntPositive(MyModelFields):
    """Refuses an update of a row whose old value is above zero."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__int_field__gt=0),
            )
        ]


class OldIntGreater(MyModelFields):
    """Refuses an update that makes the value smaller."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__int_field__gt=pgtrigger.F("new__int_field")),
            )
        ]


class DistinctChar(MyModelFields):
    """Refuses an update that changes a nullable field."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__char_field__df=pgtrigger.F("new__char_field")),
            )
        ]


class NotDistinctChar(MyModelFields):
    """Refuses an update that leaves a nullable field alone."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__char_field__ndf=pgtrigger.F("new__char_field")),
            )
        ]


class OrCondition(MyModelFields):
    """Refuses an update for either of two reasons."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=(
                    pgtrigger.Q(old__char_field__ndf=pgtrigger.F("new__char_field"))
                    | pgtrigger.Q(new__int_field=0)
                ),
            )
        ]


class AndCondition(MyModelFields):
    """Refuses an update where both reasons meet."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=(
                    pgtrigger.Q(old__char_field__ndf=pgtrigger.F("new__char_field"))
                    & pgtrigger.Q(new__int_field=0)
                ),
            )
        ]


class NegatedCondition(MyModelFields):
    """Refuses an update that does not make the value smaller."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Update,
                condition=~pgtrigger.Q(old__int_field__gt=pgtrigger.F("new__int_field")),
            )
        ]


class NewIntOnInsert(MyModelFields):
    """Refuses an insert for the sake of its new row."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Insert,
                condition=pgtrigger.Q(new__int_field__lt=0),
            )
        ]


class OldIntOnDelete(MyModelFields):
    """Refuses a delete for the sake of its old row."""

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="protect",
                operation=pgtrigger.Delete,
                condition=pgtrigger.Q(old__int_field__gt=0),
            )
        ]
