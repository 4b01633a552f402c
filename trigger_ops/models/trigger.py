"""The triggers themselves, as the admin knows them: permissions and a place in its index."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Trigger(models.Model):
    """A trigger. No table keeps these: they are inspected, and this holds what one may do to them.

    ``prune`` is for ``uninstall`` too. Whoever may view triggers may view the dashboard.
    """

    class Meta:
        managed = False
        verbose_name = _("trigger")
        verbose_name_plural = _("triggers")
        default_permissions = ("view",)
        permissions = [
            ("install_trigger", _("Can install triggers")),
            ("toggle_trigger", _("Can enable and disable triggers")),
            ("prune_trigger", _("Can drop triggers")),
        ]

    def __str__(self) -> str:
        return "trigger"
