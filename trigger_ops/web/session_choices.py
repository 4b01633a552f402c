"""The triggers that a session may be asked for, with what each protects and what it takes."""

from __future__ import annotations

import dataclasses

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from trigger_ops import api
from trigger_ops.inspection import InspectedTrigger
from trigger_ops.records import GuardState
from trigger_ops.registry import IGNORE_FUNCTION, RegisteredTrigger
from trigger_ops.rendering.wording import printable
from trigger_ops.sessions.scopes import HISTORY
from trigger_ops.states import Policy
from trigger_ops.web.detail_facts import kind_of, purposes
from trigger_ops.web.session_basics import POLICIES

_WITHOUT_WITNESS = ("v", "f")
"""Views and foreign tables: what is written there cannot be witnessed."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One trigger that can be chosen."""

    uri: str
    model: str
    kind: str
    purposes: tuple[str, ...]
    policy: str
    approvals: str
    is_history: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What can be chosen; ``shown`` of it is on the page. ``refused`` cannot be, with why not."""

    every: tuple[Choice, ...]
    shown: tuple[Choice, ...]
    refused: tuple[tuple[str, str], ...]

    @property
    def uris(self) -> list[str]:
        """What can be chosen, by name."""
        return [one.uri for one in self.every]

    @property
    def history(self) -> frozenset[str]:
        """Those that write history."""
        return frozenset(one.uri for one in self.every if one.is_history)


def choices(alias: str, guard: GuardState, *, words: str = "") -> Choices:
    """Return the triggers of a database, in registry order; ``words`` are looked for in them.

    Raises:
        UnknownDatabase: naming the nearest match.
        DatabaseUnreadable: when the database cannot be asked.
    """
    every: dict[str, Choice] = {}
    refused: dict[str, str] = {}
    for trigger in api.inspect(using=alias):
        registered = trigger.registered
        if registered is None or not registered.allowed_on(alias):
            continue
        why = _why_not(trigger, registered)
        if why:
            refused[registered.uri] = why
        else:
            every.setdefault(registered.uri, _choice(trigger, registered, guard))
    left = {uri: one for uri, one in every.items() if uri not in refused}
    return Choices(
        every=tuple(left.values()),
        shown=tuple(one for one in left.values() if _has(one, words)),
        refused=tuple(refused.items()),
    )


def _choice(trigger: InspectedTrigger, registered: RegisteredTrigger, guard: GuardState) -> Choice:
    policy, number = guard.policy, guard.approvals
    if registered.pgid in guard.policies:
        _uri, policy, number = guard.policies[registered.pgid]
    number = max(number, 1) if policy is Policy.FOUR_EYES else 0
    approvals = ngettext("%(number)d approval", "%(number)d approvals", number)
    return Choice(
        uri=registered.uri,
        model=f"{registered.app_label}.{registered.model}",
        kind=printable(kind_of(registered)),
        purposes=tuple(purposes(trigger)),
        policy=str(POLICIES[policy]),
        approvals=approvals % {"number": number} if number else "",
        is_history=HISTORY in registered.kinds,
    )


def _why_not(trigger: InspectedTrigger, registered: RegisteredTrigger) -> str:
    """Return why a session cannot have a trigger stand aside, "" where it can."""
    live = trigger.installed
    if registered.error is not None:
        return _("it cannot be compiled")
    if live is None:
        return _("it is not installed, so that nothing stands in the way")
    if IGNORE_FUNCTION not in live.body.lower():
        return _("its function asks nobody whether to stand aside")
    if live.relkind in _WITHOUT_WITNESS:
        return _("it is on a view or a foreign table, whose rows cannot be witnessed")
    return ""


def _has(one: Choice, words: str) -> bool:
    text = " ".join([one.uri, one.model, one.kind, *one.purposes]).lower()
    return all(word in text for word in words.lower().split())
