"""The guard of a database as the settings and the code want it."""

from __future__ import annotations

import datetime as dt

from trigger_ops import conf
from trigger_ops.records import GuardState, Limits
from trigger_ops.registry import registered_names
from trigger_ops.registry.selectors import matches
from trigger_ops.states import Policy

_NEVER = dt.datetime.fromtimestamp(0, dt.UTC)


def wanted_guard(alias: str, home: str) -> GuardState:
    """Return what ``guard install`` writes down: policies, URIs, and limits of sessions.

    ``since`` and ``ddl`` mean nothing here.

    Raises:
        BadSettings: for a setting that cannot be read.
    """
    policy, declared = conf.default_policy(), conf.declared_policies()
    approvals = conf.number("APPROVALS")
    policies: dict[str, tuple[str, Policy, int]] = {}
    uris: dict[str, str] = {}
    for trigger in registered_names():
        if not trigger.pgid or not trigger.allowed_on(alias):
            continue
        uris[trigger.pgid] = trigger.uri
        chosen = [mode for selector, mode in declared.items() if matches(trigger, selector)]
        if chosen and chosen[-1] is not policy:
            needed = approvals if chosen[-1] is Policy.FOUR_EYES else 0
            policies[trigger.pgid] = (trigger.uri, chosen[-1], needed)
    return GuardState(
        home=home,
        policy=policy,
        policies=policies,
        ddl=False,
        since=_NEVER,
        approvals=approvals,
        limits=_limits(),
        uris=uris,
    )


def _limits() -> Limits:
    return Limits(
        longest=conf.session_longest(),
        idle=conf.session_idle(),
        waits=conf.session_waits(),
        most_rows=conf.number("SESSION_ROWS"),
        most_extensions=conf.number("SESSION_EXTENSIONS"),
        most_triggers=conf.number("SESSION_TRIGGERS"),
    )
