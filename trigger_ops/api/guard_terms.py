"""The guard as it is and as the settings want it, for whoever plans."""

from __future__ import annotations

from trigger_ops import conf
from trigger_ops.aliases import for_pgtrigger
from trigger_ops.exceptions import DatabaseUnreadable, Refused
from trigger_ops.guard.reading import is_denied, read_state, with_guard
from trigger_ops.guard.wanting import wanted_guard
from trigger_ops.inspection import InspectedDatabase
from trigger_ops.inspection.guarding import live_witnesses
from trigger_ops.inspection.ignoring import difference
from trigger_ops.ledger.guard import guard_home, read_guard
from trigger_ops.ledger.sessions import read_sessions
from trigger_ops.planner import Request
from trigger_ops.planner.making import GUARDING
from trigger_ops.planner.situation import GuardTerms
from trigger_ops.records import GuardState
from trigger_ops.states import SessionState, Verb


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
        return _for_guarding(database)
    if verb is not Verb.INSTALL or not _has_traces(database):
        return database, None
    home = guard_home(database.alias)
    return database, GuardTerms(guard=read_state(database.alias, home) if home else None)


def _for_guarding(database: InspectedDatabase) -> tuple[InspectedDatabase, GuardTerms | None]:
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
    wanted = wanted_guard(alias, home)
    present = guard_to_change(alias, home, who=f'Role "{database.snapshot.server.role}"')
    terms = GuardTerms(guard=present, wanted=wanted, app_roles=conf.app_roles())
    return with_guard(database, wanted), terms


def guard_to_change(alias: str, home: str, *, who: str = "This role") -> GuardState | None:
    """Return the guard for whoever is about to change it, None where it is off.

    Raises:
        Refused: for a role that may not even read it: no right to read would be enough.
        DatabaseUnreadable: when the database cannot be asked.
    """
    try:
        return read_guard(alias, home)
    except DatabaseUnreadable as error:
        if not is_denied(error):
            raise
        raise Refused(
            f'{who} may not read the tables of trigger_ops on "{alias}": run this as their owner.'
        ) from error


def _has_traces(database: InspectedDatabase) -> bool:
    around = database.snapshot.surroundings if database.snapshot else None
    functions = around.ignore_functions if around else ()
    return any(map(difference, functions)) or bool(live_witnesses(database))


def refuse_while_in_use(request: Request) -> None:
    """Refuse to remove the guard from under a session.

    For before anything is changed: a session that is opened later finds the guard off, or triggers
    that do not stand aside for it.

    Raises:
        Refused: naming an active session.
        DatabaseUnreadable: when a database cannot be asked.
    """
    if request.verb is not Verb.GUARD_REMOVE:
        return
    for alias in request.databases:
        home = guard_home(alias)
        active = [SessionState.ACTIVE]
        for one in read_sessions(alias, home, states=active, limit=1) if home else ():
            raise Refused(
                f'Session {one.id} of {one.opened_by} is active on "{alias}" until '
                f"{one.expires:%H:%M:%SZ}: wait for its end, or run manage.py pgtrigger session "
                f"revoke {one.id}{for_pgtrigger(alias)}."
            )
