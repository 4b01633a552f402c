"""What checks of databases found, over time: runs, findings, allowances and what is to be told."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from trigger_ops.models.clocks import ClockTime


class DriftRun(models.Model):
    """One recorded check of one or more databases.

    ``complete`` says that everything asked for could be read; ``whole`` that nothing was left out
    by a selector. ``finished`` is empty while the run is under way.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    source = models.CharField(_("source"), max_length=16)
    holder = models.TextField(_("holder"), blank=True, db_default="")
    scope = models.TextField(_("scope"), blank=True, db_default="")
    whole = models.BooleanField(_("whole"), db_default=True)
    began = models.DateTimeField(_("began"), db_default=ClockTime())
    finished = models.DateTimeField(_("finished"), null=True, blank=True)
    complete = models.BooleanField(_("complete"), db_default=False)

    class Meta:
        verbose_name = _("drift run")
        verbose_name_plural = _("drift runs")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["began"], name="trigger_ops_run_began"),
            models.Index(fields=["finished"], name="trigger_ops_run_finished"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class DriftTarget(models.Model):
    """One database of a run: who is at it, or what came of it.

    ``state`` is waiting, running, ok, incomplete, deploying, unreachable, "not postgresql" or
    lost. Whoever checks it holds a ``claim``, which is over at ``claimed_until``, or when the
    backend ``pid`` of the recording database is gone. ``statuses`` are triggers by status,
    ``levels`` findings by level.
    """

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        DriftRun, on_delete=models.CASCADE, related_name="targets", verbose_name=_("drift run")
    )
    database = models.TextField(_("database"))
    state = models.CharField(_("state"), max_length=16, db_default="waiting")
    sent = models.DateTimeField(_("sent"), null=True, blank=True)
    times_sent = models.IntegerField(_("times sent"), db_default=0)
    claim = models.UUIDField(_("claim"), null=True, blank=True)
    pid = models.IntegerField(_("pid"), null=True, blank=True)
    claimed_until = models.DateTimeField(_("claimed until"), null=True, blank=True)
    began = models.DateTimeField(_("began"), null=True, blank=True)
    finished = models.DateTimeField(_("finished"), null=True, blank=True)
    ms = models.IntegerField(_("milliseconds"), db_default=0)
    schemas = models.IntegerField(_("schemas"), db_default=0)
    triggers = models.IntegerField(_("triggers"), db_default=0)
    statuses = models.JSONField(_("triggers by status"), default=dict, db_default={})
    levels = models.JSONField(_("findings by level"), default=dict, db_default={})
    reason = models.TextField(_("reason"), blank=True, db_default="")

    class Meta:
        verbose_name = _("checked database")
        verbose_name_plural = _("checked databases")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["run", "database"], name="trigger_ops_one_target_a_run"
            )
        ]
        indexes = [
            models.Index(
                fields=["database"],
                name="trigger_ops_open_targets",
                condition=Q(finished__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.database} ({self.state})"


class DriftFinding(models.Model):
    """One finding over time: from the run that saw it first to the one that saw it gone.

    ``key`` digests what it is about (database, ID, table and trigger), ``digest`` what was
    observed; ``places`` are schemas by the digest of what each shows, empty where all show the
    same. ``told_count`` is the count that people were last told, 0 while nobody was. ``allowed``
    says that a live allowance covers it.
    """

    id = models.BigAutoField(primary_key=True)
    key = models.CharField(_("key"), max_length=64)
    digest = models.CharField(_("digest"), max_length=64)
    code = models.CharField(_("ID"), max_length=32)
    level = models.CharField(_("level"), max_length=16)
    database = models.TextField(_("database"))
    uri = models.TextField(_("URI"), blank=True, db_default="")
    schema = models.TextField(_("schema"), blank=True, db_default="")
    schemas = models.JSONField(_("schemas"), default=list, db_default=[])
    places = models.JSONField(_("places"), default=dict, db_default={})
    table = models.TextField(_("table"), blank=True, db_default="")
    trigger = models.TextField(_("trigger"), blank=True, db_default="")
    status = models.CharField(_("status"), max_length=16, blank=True, db_default="")
    enabled = models.CharField(_("enabled"), max_length=16, blank=True, db_default="")
    facets = models.JSONField(_("facets"), default=list, db_default=[])
    count = models.IntegerField(_("count"), db_default=1)
    told_count = models.IntegerField(_("count told"), db_default=0)
    message = models.TextField(_("message"))
    fix = models.TextField(_("fix"), blank=True, db_default="")
    allowed = models.BooleanField(_("allowed"), db_default=False)
    first_seen = models.DateTimeField(_("first seen"))
    last_seen = models.DateTimeField(_("last seen"))
    resolved = models.DateTimeField(_("resolved"), null=True, blank=True)

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["key"],
                condition=Q(resolved__isnull=True),
                name="trigger_ops_one_open_finding",
            )
        ]
        indexes = [
            models.Index(fields=["database", "first_seen"], name="trigger_ops_finding_seen"),
            models.Index(fields=["resolved"], name="trigger_ops_finding_resolved"),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.uri or self.database}"


class FindingEvent(models.Model):
    """Something that happened to a finding.

    ``kind`` is opened, changed, grew, allowed, returned or resolved; ``count`` and ``digest`` are
    those of that moment.
    """

    id = models.BigAutoField(primary_key=True)
    finding = models.ForeignKey(
        DriftFinding, on_delete=models.CASCADE, related_name="events", verbose_name=_("finding")
    )
    run = models.UUIDField(_("run"), null=True, blank=True, db_index=True)
    kind = models.CharField(_("kind"), max_length=16)
    at = models.DateTimeField(_("at"), db_default=ClockTime())
    digest = models.CharField(_("digest"), max_length=64)
    count = models.IntegerField(_("count"), db_default=1)
    message = models.TextField(_("message"), blank=True, db_default="")

    class Meta:
        verbose_name = _("event of a finding")
        verbose_name_plural = _("events of findings")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.finding_id}"


class Allowance(models.Model):
    """Somebody answers for one finding as it is, until a date. ``ended`` is set by hand only.

    ``count`` is in how many places it was then; 0 is for allowances that are older than that.
    """

    id = models.BigAutoField(primary_key=True)
    key = models.CharField(_("key"), max_length=64)
    digest = models.CharField(_("digest"), max_length=64)
    code = models.CharField(_("ID"), max_length=32)
    database = models.TextField(_("database"))
    uri = models.TextField(_("URI"), blank=True, db_default="")
    message = models.TextField(_("message"), blank=True, db_default="")
    count = models.IntegerField(_("count"), db_default=0)
    owner = models.TextField(_("owner"))
    reason = models.TextField(_("reason"))
    since = models.DateTimeField(_("since"), db_default=ClockTime())
    expires = models.DateTimeField(_("expires"))
    ended = models.DateTimeField(_("ended"), null=True, blank=True)
    ended_by = models.TextField(_("ended by"), blank=True, db_default="")

    class Meta:
        verbose_name = _("allowance")
        verbose_name_plural = _("allowances")
        default_permissions = ("view",)
        indexes = [models.Index(fields=["key", "digest"], name="trigger_ops_allowance_of")]

    def __str__(self) -> str:
        return f"{self.code} {self.uri or self.database}"


class Notice(models.Model):
    """The outbox: one event of a finding that one destination is to be told of.

    Notices of one ``batch`` are one message, which keeps its number when it is sent again.
    ``due`` is when it may next be tried, ``given_up`` when nobody tries any more.
    """

    id = models.BigAutoField(primary_key=True)
    event = models.ForeignKey(
        FindingEvent, on_delete=models.CASCADE, related_name="notices", verbose_name=_("event")
    )
    destination = models.TextField(_("destination"))
    written = models.DateTimeField(_("written"), db_default=ClockTime())
    due = models.DateTimeField(_("due"), db_default=ClockTime())
    batch = models.UUIDField(_("batch"), null=True, blank=True)
    attempts = models.IntegerField(_("attempts"), db_default=0)
    sent = models.DateTimeField(_("sent"), null=True, blank=True)
    given_up = models.DateTimeField(_("given up"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True, db_default="")

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["event", "destination"], name="trigger_ops_told_once")
        ]
        indexes = [
            models.Index(
                fields=["destination", "due"],
                name="trigger_ops_notices_due",
                condition=Q(sent__isnull=True, given_up__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.destination}: {self.event_id}"
