"""What was done to triggers, and what is being done: ledger, leases, canonical forms."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from trigger_ops.models.clocks import ClockTime, ThisTransaction, TransactionTime


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


class LedgerEntry(models.Model):
    """One line of what was done to triggers. A trigger of the table's own lets rows only be added.

    ``kind`` is "started", "statement" or "finished"; ``began`` is when the transaction that wrote
    the row began, ``at`` when the row was written, ``transaction`` its number (null in old rows).
    ``before`` and ``after`` are facets by name.
    """

    id = models.BigAutoField(primary_key=True)
    run = models.UUIDField(_("run"), db_index=True)
    kind = models.CharField(_("kind"), max_length=16)
    began = models.DateTimeField(_("began"), db_default=TransactionTime())
    at = models.DateTimeField(_("at"), db_default=ClockTime())
    verb = models.TextField(_("verb"), blank=True, db_default="")
    actor = models.TextField(_("actor"), blank=True, db_default="")
    reason = models.TextField(_("reason"), blank=True, db_default="")
    database = models.TextField(_("database"), blank=True, db_default="")
    schema = models.TextField(_("schema"), blank=True, db_default="")
    table = models.TextField(_("table"), blank=True, db_default="")
    uri = models.TextField(_("URI"), blank=True, db_default="")
    trigger = models.TextField(_("trigger"), blank=True, db_default="")
    sql = models.TextField(_("SQL"), blank=True, db_default="")
    undo = models.TextField(_("undo"), blank=True, db_default="")
    lock = models.TextField(_("lock"), blank=True, db_default="")
    before = models.JSONField(_("before"), blank=True, default=dict, db_default={})
    after = models.JSONField(_("after"), blank=True, default=dict, db_default={})
    outcome = models.TextField(_("outcome"), blank=True, db_default="")
    detail = models.TextField(_("detail"), blank=True, db_default="")
    transaction = models.BigIntegerField(
        _("transaction"), null=True, blank=True, db_default=ThisTransaction()
    )

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["at"], name="trigger_ops_ledger_at"),
            models.Index(fields=["transaction"], name="trigger_ops_ledger_of"),
        ]
        # A row with a key, such as loaddata's, is looked for first: an UPDATE of no row at all
        # would be refused too.
        select_on_save = True

    def __str__(self) -> str:
        return f"{self.kind} {self.verb} {self.uri or self.trigger}".strip()


class TriggerLease(models.Model):
    """A disable that ends. ``restore`` is the enabled mode that the trigger goes back to."""

    id = models.UUIDField(primary_key=True)
    uri = models.TextField(_("URI"), blank=True, db_default="")
    schema = models.TextField(_("schema"))
    table = models.TextField(_("table"))
    trigger = models.TextField(_("trigger"))
    restore = models.CharField(_("restore"), max_length=16)
    holder = models.TextField(_("holder"), blank=True, db_default="")
    reason = models.TextField(_("reason"), blank=True, db_default="")
    since = models.DateTimeField(_("since"), db_default=ClockTime())
    expires = models.DateTimeField(_("expires"))
    ended = models.DateTimeField(_("ended"), null=True, blank=True)
    end_cause = models.TextField(_("cause of its end"), blank=True, db_default="")

    class Meta:
        verbose_name = _("trigger lease")
        verbose_name_plural = _("trigger leases")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["schema", "table", "trigger"],
                condition=Q(ended__isnull=True),
                name="trigger_ops_one_open_lease",
            ),
            models.CheckConstraint(
                condition=Q(restore__in=["ENABLED", "ALWAYS", "REPLICA"]),
                name="trigger_ops_lease_restores",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}: {self.trigger}"


class RunLease(models.Model):
    """The run that is changing triggers right now: one row at most.

    ``pid`` is the backend that the run was last seen on.
    """

    one = models.SmallIntegerField(primary_key=True, db_default=1)
    run = models.UUIDField(_("run"))
    verb = models.TextField(_("verb"), blank=True, db_default="")
    holder = models.TextField(_("holder"), blank=True, db_default="")
    pid = models.IntegerField(_("pid"))
    since = models.DateTimeField(_("since"), db_default=ClockTime())
    expires = models.DateTimeField(_("expires"))

    class Meta:
        verbose_name = _("run at work")
        verbose_name_plural = _("runs at work")
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(one=1), name="trigger_ops_one_run_lease")
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.run}"
