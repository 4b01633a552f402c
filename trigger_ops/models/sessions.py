"""Who may have triggers stand aside: sessions, reviews, policies, and the guard that asks for them.

Triggers of the tables' own hold the rules (``sql/sessions.sql``): what a session may become, and
who may review it. People are kept as text, so that a user who is deleted breaks nothing.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from trigger_ops.models.clocks import ClockTime


class Session(models.Model):
    """One request that named triggers stand aside for a while, and what became of it.

    ``uris`` and ``triggers`` (pgids) are lists in one order. ``needs`` is how many approvals it
    takes; ``waits`` how long the request waits for them; ``lasts`` how long the session lasts once
    it is active, ``longest`` what extensions may make of that, ``idle`` how long it may go unused.
    ``role`` is the database role that opened it. A row that is added with another state than
    "asked" is one of elsewhere: it is kept if it is over there, and abandoned if it is not.
    """

    id = models.BigAutoField(primary_key=True)
    state = models.CharField(_("state"), max_length=16, db_default="pending")
    uris = models.JSONField(_("URIs"))
    triggers = models.JSONField(_("triggers"))
    reason = models.TextField(_("reason"))
    ticket = models.TextField(_("ticket"), blank=True, db_default="")
    surface = models.CharField(_("surface"), max_length=16)
    opener = models.TextField(_("opened by"))
    opener_key = models.TextField(_("key of the opener"), blank=True, db_default="")
    opener_email = models.TextField(_("e-mail of the opener"), blank=True, db_default="")
    role = models.TextField(_("database role"), blank=True, db_default="")
    host = models.TextField(_("host"), blank=True, db_default="")
    application = models.TextField(_("application"), blank=True, db_default="")
    needs = models.IntegerField(_("approvals needed"), db_default=0)
    lasts = models.DurationField(_("lasts"))
    idle = models.DurationField(_("may be idle"))
    longest = models.DurationField(_("lasts at most"))
    waits = models.DurationField(_("waits for approval"))
    most_rows = models.IntegerField(_("rows at most"))
    most_extensions = models.SmallIntegerField(_("extensions at most"))
    nonce = models.TextField(_("nonce"), null=True, blank=True, unique=True)
    opened = models.DateTimeField(_("opened"), db_default=ClockTime())
    activated = models.DateTimeField(_("activated"), null=True, blank=True)
    expires = models.DateTimeField(_("expires"), null=True, blank=True)
    extensions = models.SmallIntegerField(_("extensions"), db_default=0)
    ended = models.DateTimeField(_("ended"), null=True, blank=True)
    ended_by = models.TextField(_("ended by"), blank=True, db_default="")
    end_cause = models.TextField(_("cause of its end"), blank=True, db_default="")

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        default_permissions = ("view",)
        permissions = [
            ("request_session", _("Can ask for sessions")),
            ("review_session", _("Can approve and deny sessions of others")),
            ("revoke_session", _("Can extend, end and revoke sessions of others")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    state__in=[
                        "pending",
                        "active",
                        "ended",
                        "revoked",
                        "denied",
                        "expired",
                        "abandoned",
                    ]
                ),
                name="trigger_ops_session_state",
            )
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.state}"


class Review(models.Model):
    """One person's yes ("approve") or no ("deny").

    ``person`` is the reviewer as people are told apart: without case and blanks.
    """

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(Session, models.PROTECT, related_name="reviews")
    reviewer = models.TextField(_("reviewer"))
    reviewer_key = models.TextField(_("key of the reviewer"), blank=True, db_default="")
    person = models.TextField(_("person"), blank=True, db_default="")
    verdict = models.CharField(_("verdict"), max_length=16)
    remark = models.TextField(_("remark"), blank=True, db_default="")
    at = models.DateTimeField(_("at"), db_default=ClockTime())

    class Meta:
        verbose_name = _("review")
        verbose_name_plural = _("reviews")
        default_permissions = ()
        select_on_save = True
        constraints = [
            models.UniqueConstraint(fields=["session", "person"], name="trigger_ops_one_vote")
        ]

    def __str__(self) -> str:
        return f"{self.session_id} {self.reviewer}: {self.verdict}"


class Policy(models.Model):
    """What it takes to ignore one trigger, where that is not the default of the guard.

    ``mode`` is open, record, session or four_eyes; ``approvals`` is how many four_eyes takes.
    """

    trigger = models.TextField(_("trigger"), primary_key=True)
    uri = models.TextField(_("URI"))
    mode = models.CharField(_("mode"), max_length=16)
    approvals = models.SmallIntegerField(_("approvals"), db_default=0)

    class Meta:
        verbose_name = _("policy")
        verbose_name_plural = _("policies")
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(mode__in=["open", "record", "session", "four_eyes"]),
                name="trigger_ops_policy_mode",
            )
        ]

    def __str__(self) -> str:
        return f"{self.uri}: {self.mode}"


class Guard(models.Model):
    """Says that the guard is on in this database: one row, or none.

    ``policy`` is the mode of triggers without one of their own, ``approvals`` how many that takes
    if it is four_eyes; ``ddl`` tells of an event trigger. ``uris`` are those of the triggers that
    the code declares, by pgid. The rest is what a session may be asked for at most, as in
    :class:`Session`; null is no limit.
    """

    one = models.SmallIntegerField(primary_key=True, db_default=1)
    policy = models.CharField(_("default policy"), max_length=16)
    approvals = models.SmallIntegerField(_("approvals"), db_default=1)
    ddl = models.BooleanField(_("DDL guard"), db_default=False)
    uris = models.JSONField(_("URIs"), blank=True, default=dict, db_default={})
    longest = models.DurationField(_("lasts at most"), null=True, blank=True)
    idle = models.DurationField(_("may be idle"), null=True, blank=True)
    waits = models.DurationField(_("waits for approval"), null=True, blank=True)
    most_rows = models.IntegerField(_("rows at most"), null=True, blank=True)
    most_extensions = models.SmallIntegerField(_("extensions at most"), null=True, blank=True)
    most_triggers = models.IntegerField(_("triggers at most"), null=True, blank=True)
    since = models.DateTimeField(_("since"), db_default=ClockTime())

    class Meta:
        verbose_name = _("guard")
        verbose_name_plural = _("guards")
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=Q(one=1), name="trigger_ops_one_guard")]

    def __str__(self) -> str:
        return f"guard since {self.since}"
