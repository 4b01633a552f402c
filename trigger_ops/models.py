"""Our own tables."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class CanonicalForm(models.Model):
    """PostgreSQL's own spelling of one condition, so that it need not be asked for again.

    ``key`` digests server major, column layout and the condition's source; ``signature`` is an
    HMAC under ``SECRET_KEY``, so that whoever can write this table cannot make a false form true.
    """

    key = models.CharField(_("key"), max_length=64, primary_key=True)
    condition = models.TextField(_("condition"))
    signature = models.CharField(_("signature"), max_length=64)
    recorded = models.DateTimeField(_("recorded"), auto_now=True)

    class Meta:
        verbose_name = _("canonical form")
        verbose_name_plural = _("canonical forms")
        default_permissions = ()

    def __str__(self) -> str:
        return self.key
