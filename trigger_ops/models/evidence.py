"""What was done while triggers stood aside. Rows are only ever added.

Written by functions in the database (``sql/sessions.sql``, ``sql/guard.sql``), in the transaction
of the change itself; only events and failed statements are written beside it, so that they stay.
No foreign key is enforced here: a row of evidence waits for no other row. Rows that come with a
key, such as loaddata's, are looked for first: an UPDATE of no row at all would be refused too.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from trigger_ops.models.clocks import ClockTime
from trigger_ops.models.sessions import Session


def _of_session(related_name: str, *, optional: bool = False) -> models.ForeignKey[Session]:
    return models.ForeignKey(
        Session,
        models.DO_NOTHING,
        related_name=related_name,
        db_constraint=False,
        db_index=False,
        null=optional,
        blank=optional,
        verbose_name=_("session"),
    )


class SessionEvent(models.Model):
    """What happened to a session, or was denied to somebody without one (no session)."""

    id = models.BigAutoField(primary_key=True)
    session = _of_session("events", optional=True)
    kind = models.CharField(_("kind"), max_length=24)
    actor = models.TextField(_("actor"), blank=True, db_default="")
    at = models.DateTimeField(_("at"), db_default=ClockTime())
    detail = models.JSONField(_("detail"), blank=True, default=dict, db_default={})

    class Meta:
        verbose_name = _("session event")
        verbose_name_plural = _("session events")
        default_permissions = ()
        select_on_save = True
        indexes = [models.Index(fields=["session", "id"], name="trigger_ops_event_session")]

    def __str__(self) -> str:
        return f"{self.session_id} {self.kind}"


class SessionTransaction(models.Model):
    """One transaction that entered a session, with the backend and role that it ran as.

    ``template`` is the statement that the transaction was made for, "" where it is for several:
    those are rows of their own (:class:`SessionStatement`).
    """

    id = models.BigAutoField(primary_key=True)
    session = _of_session("transactions")
    transaction = models.BigIntegerField(_("transaction"))
    pid = models.IntegerField(_("pid"))
    role = models.TextField(_("database role"))
    application = models.TextField(_("application"), blank=True)
    address = models.TextField(_("address"), blank=True)
    template = models.TextField(_("template"), blank=True, db_default="")
    at = models.DateTimeField(_("at"), db_default=ClockTime())

    class Meta:
        verbose_name = _("session transaction")
        verbose_name_plural = _("session transactions")
        default_permissions = ()
        select_on_save = True
        constraints = [
            models.UniqueConstraint(
                fields=["transaction", "session"], name="trigger_ops_entered_once"
            )
        ]
        indexes = [models.Index(fields=["session", "at"], name="trigger_ops_entered_at")]

    def __str__(self) -> str:
        return f"{self.session_id} {self.transaction}"


class SessionStatement(models.Model):
    """One statement of a session, as a template: its parameters are never kept.

    ``rows`` is what the driver reported, null where the statement was recorded before it ran;
    ``transaction`` is null where it failed before it had one. ``error`` is an SQLSTATE, or "".
    One that a transaction was made for is kept with that.
    """

    id = models.BigAutoField(primary_key=True)
    session = _of_session("statements")
    transaction = models.BigIntegerField(_("transaction"), null=True, blank=True)
    template = models.TextField(_("template"))
    rows = models.BigIntegerField(_("rows"), null=True, blank=True)
    took_ms = models.FloatField(_("took, in milliseconds"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True, db_default="")
    at = models.DateTimeField(_("at"), db_default=ClockTime())

    class Meta:
        verbose_name = _("session statement")
        verbose_name_plural = _("session statements")
        default_permissions = ()
        select_on_save = True
        indexes = [models.Index(fields=["session", "id"], name="trigger_ops_statement_session")]

    def __str__(self) -> str:
        return self.template


class Decision(models.Model):
    """That a trigger stood aside in a transaction: for a session, or for nobody's (no session)."""

    id = models.BigAutoField(primary_key=True)
    transaction = models.BigIntegerField(_("transaction"))
    trigger = models.TextField(_("trigger"))
    session = _of_session("decisions", optional=True)
    role = models.TextField(_("database role"), blank=True, db_default="")
    at = models.DateTimeField(_("at"), db_default=ClockTime())

    class Meta:
        verbose_name = _("decision")
        verbose_name_plural = _("decisions")
        default_permissions = ()
        select_on_save = True
        indexes = [
            models.Index(fields=["transaction"], name="trigger_ops_decision_of"),
            models.Index(fields=["session"], name="trigger_ops_decision_session"),
        ]

    def __str__(self) -> str:
        return f"{self.transaction} {self.trigger}"


class Change(models.Model):
    """One row that was written while something was ignored: what it was (old) and is (new).

    ``cause`` is session, or for rows that belong to none: ignore (pgtrigger.ignore was set),
    replica (session_replication_role was) or truncate. ``number`` counts the rows of a session,
    as far as transactions that run beside each other can see; ``up_to`` is how far those that
    follow it in its transaction need not look at the session's limit again, null where a statement
    was recorded as a whole. ``role``, ``application`` and ``address`` are kept for rows of no
    session; a session's transaction knows its own.
    """

    id = models.BigAutoField(primary_key=True)
    session = _of_session("changes", optional=True)
    transaction = models.BigIntegerField(_("transaction"))
    schema = models.TextField(_("schema"))
    table = models.TextField(_("table"))
    number = models.IntegerField(_("number"), db_default=0)
    up_to = models.IntegerField(_("up to number"), null=True, blank=True)
    op = models.CharField(_("operation"), max_length=8)
    old = models.JSONField(_("old row"), null=True, blank=True)
    new = models.JSONField(_("new row"), null=True, blank=True)
    cause = models.CharField(_("cause"), max_length=16)
    role = models.TextField(_("database role"), blank=True, db_default="")
    application = models.TextField(_("application"), blank=True, db_default="")
    address = models.TextField(_("address"), blank=True, db_default="")
    at = models.DateTimeField(_("at"), db_default=ClockTime())

    class Meta:
        verbose_name = _("change")
        verbose_name_plural = _("changes")
        default_permissions = ("view",)
        select_on_save = True
        indexes = [
            models.Index(fields=["session", "number"], name="trigger_ops_change_number_of"),
            models.Index(
                fields=["id"],
                condition=Q(session__isnull=True),
                name="trigger_ops_unattributed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.op} {self.schema}.{self.table}"


class Acknowledgement(models.Model):
    """That somebody knows of a transaction that wrote past triggers outside any session."""

    id = models.BigAutoField(primary_key=True)
    transaction = models.BigIntegerField(_("transaction"), db_index=True)
    actor = models.TextField(_("actor"))
    reason = models.TextField(_("reason"))
    at = models.DateTimeField(_("at"), db_default=ClockTime())

    class Meta:
        verbose_name = _("acknowledgement")
        verbose_name_plural = _("acknowledgements")
        default_permissions = ()
        select_on_save = True

    def __str__(self) -> str:
        return f"{self.transaction} by {self.actor}"


class GuardChange(models.Model):
    """That what is enforced was changed: a policy, the guard's own row, or a trigger.

    ``kind`` is policy or guard for rows of those tables, on record whoever writes them; trigger or
    function where the DDL guard saw it. ``name`` is the URI of a policy, or that of the trigger.
    ``op`` is what was done. Runs of ours are in the ledger with the same transaction.
    """

    id = models.BigAutoField(primary_key=True)
    transaction = models.BigIntegerField(_("transaction"), db_index=True)
    kind = models.CharField(_("kind"), max_length=16)
    schema = models.TextField(_("schema"))
    table = models.TextField(_("table"))
    name = models.TextField(_("name"), blank=True, db_default="")
    op = models.CharField(_("operation"), max_length=16)
    old = models.JSONField(_("before"), null=True, blank=True)
    new = models.JSONField(_("after"), null=True, blank=True)
    role = models.TextField(_("database role"), blank=True, db_default="")
    application = models.TextField(_("application"), blank=True, db_default="")
    address = models.TextField(_("address"), blank=True, db_default="")
    at = models.DateTimeField(_("at"), db_default=ClockTime())

    class Meta:
        verbose_name = _("change of the guard")
        verbose_name_plural = _("changes of the guard")
        default_permissions = ()
        select_on_save = True

    def __str__(self) -> str:
        return f"{self.op} {self.kind} {self.name}"
