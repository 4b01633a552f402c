"""One run: database after database, table after table, with a result for every trigger."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections.abc import Sequence

from django.db import connections

from trigger_ops.aliases import for_migrate
from trigger_ops.applier import OnProgress, Planning, RunReport, StepResult, Terms
from trigger_ops.applier.refusals import DATABASE_ERRORS, Meaning, meaning_of, sentence_of
from trigger_ops.applier.stopping import TAKEN_OVER, Stopped, ended_by, gave_up
from trigger_ops.applier.tables import AnnouncementLost, NotKept, attempt
from trigger_ops.applier.waiting import Waits
from trigger_ops.applier.workplaces import Workplace, briefly
from trigger_ops.catalog.transactions import in_transaction, without_injection
from trigger_ops.exceptions import Busy, DatabaseUnreadable, Refused, TriggerOpsError
from trigger_ops.ledger import tables as own_tables
from trigger_ops.ledger.announcements import announce, renewal, withdraw
from trigger_ops.ledger.entries import Run, write_finished, write_started
from trigger_ops.planner import Plan, Step
from trigger_ops.states import Result

HOLDS = dt.timedelta(seconds=60)
"""How long a run's announcement lasts unless it is renewed, which every table does."""

NOT_REACHED = "the run ended before it"

NOT_KNOWN = "the connection was lost at it: it is as it was, or as it should be"


def apply(
    plan: Plan,
    *,
    run: Run,
    terms: Terms,
    planning: Planning,
    on_progress: OnProgress | None = None,
) -> RunReport:
    """Carry a plan out, table by table; an empty plan takes no lock and leaves no trace.

    Whatever the server refuses is in the report: a result of the trigger it concerns, or the
    reason why the run ended early.
    """
    results: list[StepResult] = []
    warnings: list[str] = []
    stopped, busy = "", False
    waits = Waits(terms.lock_budget)
    for alias in plan.request.databases:
        steps = [step for step in plan.steps if step.database == alias]
        if not stopped and any(step.is_work for step in steps):
            database = _Database(
                alias, plan, run, terms, planning=planning, waits=waits, on_progress=on_progress
            )
            stopped, busy = _carried_out(database, steps)
            results.extend(database.results)
            warnings.extend(database.warnings)
        reached = {one.step.uri_in_place for one in results}
        results.extend(_without_work(one) for one in steps if one.uri_in_place not in reached)
    return RunReport(
        run=run.id,
        verb=run.verb,
        results=tuple(results),
        stopped=stopped,
        busy=busy,
        warnings=tuple(warnings),
    )


def _carried_out(database: _Database, steps: Sequence[Step]) -> tuple[str, bool]:
    """Carry out the steps of one database; return why it ended early, if it did, and `busy`."""
    try:
        database.carry_out(steps)
    except Stopped as end:
        return str(end), end.busy
    except TriggerOpsError as error:
        return str(error), isinstance(error, Busy | DatabaseUnreadable)
    except DATABASE_ERRORS as error:
        ended = ended_by(error, role=database.role, connection=database.connection)
        return str(ended), ended.busy
    return "", False


def _without_work(step: Step) -> StepResult:
    if step.is_work:
        return StepResult(step=step, result=Result.SKIPPED, reason=NOT_REACHED)
    return StepResult(step=step, result=step.result, reason=step.reason)


class _Database:
    """One database in one run."""

    def __init__(
        self,
        alias: str,
        plan: Plan,
        run: Run,
        terms: Terms,
        *,
        planning: Planning,
        waits: Waits,
        on_progress: OnProgress | None,
    ) -> None:
        self.alias, self.plan, self.run = alias, plan, run
        self.terms, self.planning, self.waits = terms, planning, waits
        self.on_progress = on_progress
        self.connection = connections[alias]
        self.role = plan.role_on(alias)
        self.results: list[StepResult] = []
        self.warnings: list[str] = []

    def carry_out(self, steps: Sequence[Step]) -> None:
        """Carry out every step of this database; ``results`` says what has become of each.

        Raises:
            Stopped, TriggerOpsError, DatabaseError: when it cannot go on.
        """
        with without_injection(self.connection):
            self._refuse_broken_transaction()
            home = own_tables.home(self.alias)
            place = self._workplace(home)
            if home is None:
                self.warnings.append(
                    f'Nothing is recorded: the tables of trigger_ops are missing on "{self.alias}"; '
                    f"run manage.py migrate trigger_ops{for_migrate(self.alias)}."
                )
                self._tables(place, steps)
            else:
                self._recorded(place, home, steps)

    def _refuse_broken_transaction(self) -> None:
        if in_transaction(self.connection) and self.connection.needs_rollback:
            raise Refused(
                f'The transaction on "{self.alias}" has failed already and can only be rolled '
                "back: run this again after that."
            )

    def _workplace(self, home: str | None) -> Workplace:
        inside = in_transaction(self.connection)
        return Workplace(
            alias=self.alias,
            connection=self.connection,
            run=self.run,
            terms=self.terms,
            planning=self.planning,
            role=self.role,
            home=home,
            announced=home is not None and not inside,
            holds=HOLDS,
            lasts=self.plan.request.lasts,
            notices_clients=self._notices_clients(),
        )

    def _notices_clients(self) -> bool:
        """Tell whether the server can look, while it waits, whether its client is still there."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_catalog.pg_settings "
                "WHERE name OPERATOR(pg_catalog.=) 'client_connection_check_interval' "
                "AND max_val::pg_catalog.int8 OPERATOR(pg_catalog.>) 0"
            )
            return bool(cursor.fetchone()[0])

    def _recorded(self, place: Workplace, home: str, steps: Sequence[Step]) -> None:
        work = sum(step.is_work for step in steps)
        asked = " ".join(self.plan.request.selectors or self.plan.request.named) or "everything"
        outcome, detail = "failed", ""
        try:
            with briefly(self.connection):
                write_started(self.alias, home, self.run, detail=f"{asked}: {work} to change")
        except DATABASE_ERRORS as error:
            sentence = sentence_of(error, role=place.role)
            raise Stopped(
                f"The ledger cannot be written, so nothing was changed: {sentence}.",
                busy=meaning_of(error, self.connection) in (Meaning.AGAIN, Meaning.LOST),
            ) from error
        try:
            if place.announced:
                steps = self._announced(place, home, steps)
            self._tables(place, steps)
            failed = any(one.result is Result.FAILED for one in self.results)
            outcome = "failed" if failed else "done"
        except (Stopped, TriggerOpsError) as end:
            outcome, detail = "stopped", str(end)
            raise
        except Exception as error:
            detail = f"{type(error).__name__}: {error}"
            raise
        finally:
            self._finish(place, home, outcome, detail or self._summary())

    def _summary(self) -> str:
        counts = dict.fromkeys(Result, 0)
        for one in self.results:
            counts[one.result] += 1
        return ", ".join(f"{count} {result.value}" for result, count in counts.items() if count)

    def _finish(self, place: Workplace, home: str, outcome: str, detail: str) -> None:
        """Record the end and take the announcement back, as far as the connection allows."""
        raw = self.connection.connection
        if place.announced and raw is not None and raw.closed:
            self.connection.close()
        try:
            with briefly(self.connection):
                if place.announced:
                    withdraw(self.alias, home, self.run.id)
                write_finished(self.alias, home, self.run, outcome=outcome, detail=detail)
        except DATABASE_ERRORS as error:
            sentence = sentence_of(error, role=place.role)
            self.warnings.append(f"The end of this run could not be recorded: {sentence}.")

    def _announced(self, place: Workplace, home: str, steps: Sequence[Step]) -> Sequence[Step]:
        """Wait for other runs to end, announce this one, and plan anew if there was another."""
        waited = False
        while True:
            started = time.monotonic()
            other = announce(self.alias, home, self.run, place.holds)
            if other is None:
                break
            waited = True
            self.waits.add(time.monotonic() - started)
            if not self.waits.pause():
                raise Busy(
                    f'Another run is changing triggers on "{self.alias}": {other.verb} by '
                    f"{other.holder} (pid {other.pid}) since {other.since:%H:%M:%SZ}, until "
                    f"{other.expires:%H:%M:%SZ} at least; nothing was changed there, try again."
                )
        self.waits.relax()
        if not waited or self.terms.strict:
            return steps
        return self.planning.database(self.alias)

    def _tables(self, place: Workplace, steps: Sequence[Step]) -> None:
        """Carry out table by table; what belongs to none has its turn before or after them."""
        groups = [
            list(group)
            for _, group in itertools.groupby(
                sorted(steps, key=lambda step: (step.turn, step.schema or "", step.table or "")),
                key=lambda step: (step.turn, step.table_oid, step.table),
            )
        ]
        working = []
        for group in groups:
            if any(step.is_work for step in group):
                working.append(group)
            else:
                self.results.extend(map(_without_work, group))
        for number, group in enumerate(working):
            if self.on_progress is not None:
                self.on_progress(number, len(working), group[0].table or "functions")
            self.results.extend(self._table(place, group))
        if self.on_progress is not None:
            self.on_progress(len(working), len(working), "")

    def _table(self, place: Workplace, steps: Sequence[Step]) -> list[StepResult]:
        """Carry out one table, again and again while a lock stands in the way."""
        separately = False
        self.waits.relax()
        while True:
            started = time.monotonic()
            try:
                patience = self.waits.patience(self.terms.lock_timeout)
                return attempt(place, steps, patience=patience, separately=separately)
            except AnnouncementLost:
                raise Stopped(TAKEN_OVER, busy=True) from None
            except NotKept:
                separately = True
            except DATABASE_ERRORS as error:
                meaning = meaning_of(error, self.connection)
                if meaning is Meaning.AGAIN:
                    self.waits.add(time.monotonic() - started)
                    self._wait(place, steps, error)
                elif meaning is Meaning.FAILED and not separately:
                    separately = True
                else:
                    if meaning is Meaning.LOST:
                        self.results += [
                            StepResult(step=step, result=Result.SKIPPED, reason=NOT_KNOWN)
                            for step in steps
                        ]
                    at = steps[0].table or "a function"
                    raise ended_by(
                        error, role=self.role, connection=self.connection, at=at
                    ) from error

    def _wait(self, place: Workplace, steps: Sequence[Step], error: BaseException) -> None:
        """Pause before another try; the announcement must not expire meanwhile."""
        if not self.waits.pause():
            raise gave_up(place, steps, error, self.waits) from error
        if place.announced and place.home is not None:
            composed = renewal(place.home, self.run.id, place.holds)
            with briefly(self.connection):
                renewed = own_tables.write(self.alias, composed)
            if not renewed:
                raise Stopped(TAKEN_OVER, busy=True) from error
