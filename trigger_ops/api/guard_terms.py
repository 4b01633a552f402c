"""The guard as it is and as the settings want it, for whoever plans."""

from __future__ import annotations

import datetime as dt

from trigger_ops import conf
from trigger_ops.exceptions import Refused
from trigger_ops.guard.reading import with_guard
from trigger_ops.inspection import InspectedDatabase
from trigger_ops.inspection.guarding import live_witnesses
from trigger_ops.inspection.ignoring import difference
from trigger_ops.ledger.guard import guard_home, read_guard
from trigger_ops.ledger.sessions import read_sessions
from trigger_ops.planner.making import GUARDING
from trigger_ops.planner.situation import GuardTerms
from trigger_ops.records import GuardState
from trigger_ops.registry import registered_triggers
from trigger_ops.registry.selectors import matches
from trigger_ops.states import Policy, SessionState, Verb

_NEVER = dt.datetime.fromtimestamp(0, dt.UTC)


def guard_terms(
    database: InspectedDatabase, verb: Verb
) -> tuple[InspectedDatabase, GuardTerms | None]:
    """Return an inspected database with what planning a verb has to know of its guard.

    For an ``install`` the guard is asked for only where there is a trace of it, so that one with
    nothing to do asks nothing more.

    Raises:
        Refused: where a guard verb cannot be planned at all.
        DatabaseUnreadable: when the database cannot be asked.
    """
    if verb in GUARDING:
        return _for_guarding(database, verb)
    if verb is not Verb.INSTALL or not _has_traces(database):
        return database, None
    home = guard_home(database.alias)
    return database, GuardTerms(guard=read_guard(database.alias, home) if home else None)


def _for_guarding(
    database: InspectedDatabase, verb: Verb
) -> tuple[InspectedDatabase, GuardTerms | None]:
    alias = database.alias
    if database.status == "not postgresql":
        raise Refused(f'"{alias}" is not PostgreSQL, and has no triggers to guard: leave it out.')
    if database.snapshot is None:
        return database, None
    home = guard_home(alias)
    if home is None:
        raise Refused(
            f'The guard needs the tables of trigger_ops, which are missing on "{alias}": run '
            f"manage.py migrate trigger_ops --database {alias}."
        )
    present, wanted = read_guard(alias, home), _wanted(alias, home)
    if verb is Verb.GUARD_REMOVE:
        _refuse_while_in_use(alias, home)
    terms = GuardTerms(guard=present, wanted=wanted, app_roles=conf.app_roles())
    return with_guard(database, wanted), terms


def _has_traces(database: InspectedDatabase) -> bool:
    around = database.snapshot.surroundings if database.snapshot else None
    functions = around.ignore_functions if around else ()
    return any(map(difference, functions)) or bool(live_witnesses(database))


def _wanted(alias: str, home: str) -> GuardState:
    policy, declared = conf.default_policy(), conf.declared_policies()
    approvals = conf.number("APPROVALS")
    policies: dict[str, tuple[str, Policy, int]] = {}
    for trigger in registered_triggers():
        chosen = [mode for selector, mode in declared.items() if matches(trigger, selector)]
        if chosen and chosen[-1] is not policy and trigger.pgid and trigger.allowed_on(alias):
            needed = approvals if chosen[-1] is Policy.FOUR_EYES else 0
            policies[trigger.pgid] = (trigger.uri, chosen[-1], needed)
    return GuardState(
        home=home, policy=policy, policies=policies, ddl=False, since=_NEVER, approvals=approvals
    )


def _refuse_while_in_use(alias: str, home: str) -> None:
    for one in read_sessions(alias, home, states=[SessionState.ACTIVE], limit=1):
        raise Refused(
            f'Session {one.id} of {one.opened_by} is active on "{alias}" until {one.expires:%H:%M:%SZ}: '
            f"wait for its end, or run manage.py pgtrigger session revoke {one.id}."
        )
