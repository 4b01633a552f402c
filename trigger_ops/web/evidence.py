"""What the pages show of the triggers: inspected now, or by this process a few seconds ago."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import threading
import time

from trigger_ops import api, conf, ledger
from trigger_ops.api import inspecting
from trigger_ops.drift import Listing
from trigger_ops.inspection import InspectedDatabase, InspectedTrigger
from trigger_ops.inspection.joining import Question, inspect_database
from trigger_ops.registry import project_tables, registered_triggers
from trigger_ops.registry.history import load_migrations
from trigger_ops.registry.selectors import matches
from trigger_ops.states import Enabled, Verdict

KEPT_SECONDS = 5.0
"""For so long a process shows what it has seen, so that paging and sorting ask nothing."""


@dataclasses.dataclass(frozen=True, slots=True)
class Evidence:
    """All triggers of all databases of the project, and when they were looked at (UTC)."""

    listing: Listing
    seen: dt.datetime

    def one(self, uri: str, database: str, schema: str | None) -> InspectedTrigger | None:
        """Return a trigger in one place, None if there is none."""
        for trigger in self.listing.triggers:
            if (trigger.uri, trigger.database) == (uri, database) and trigger.schema == schema:
                return trigger
        return None


_kept: list[tuple[float, Evidence]] = []
_looking = threading.Lock()
_conditions: dict[str, str] = {}
"""Canonical conditions by key. What a key stands for never changes, so this process keeps them."""


def evidence(*, afresh: bool = False) -> Evidence:
    """Return the triggers of every PostgreSQL alias; a database that is down is in it as such.

    Where nothing is wrong, a database is read once and its migrations not at all, so that nothing
    is known to be ahead of them (I006).
    """
    with _looking:
        now = time.monotonic()
        if not afresh and _kept and now - _kept[0][0] < KEPT_SECONDS:
            return _kept[0][1]
        seen = dt.datetime.now(dt.UTC)
        found = Evidence(_listing(), seen)
        _kept[:] = [(time.monotonic(), found)]
        return found


def forget() -> None:
    """Look again at the next request: something was changed."""
    _kept.clear()


def _listing() -> Listing:
    if not _conditions:
        _conditions.update(ledger.remembered_conditions())
    everything = registered_triggers()
    question = Question(
        alias="",
        chosen=everything,
        everything=everything,
        tables=project_tables(),
        modes={
            one.uri: Enabled(mode)
            for selector, mode in conf.declared_modes().items()
            for one in everything
            if matches(one, selector)
        },
        history=False,
        twice=False,
        statement_timeout=conf.statement_timeout(),
        lock_timeout=conf.lock_timeout(),
    )
    loaded = functools.cache(load_migrations)
    whole = dataclasses.replace(question, migrations=loaded, history=True)
    databases = tuple(_looked(alias, question, whole) for alias in api.postgres_aliases())
    triggers = tuple(one for database in databases for one in database.triggers)
    return Listing(databases=databases, triggers=triggers)


def _looked(alias: str, question: Question, whole: Question) -> InspectedDatabase:
    """Look at one database, and again with its migrations at hand where anything is suspect."""
    first = _inspected(alias, question)
    if first.status != "ok" or not any(one.is_suspect for one in first.triggers):
        return first
    second = _inspected(alias, whole)
    return second if second.status != "ok" else _seen_twice(first, second)


def _inspected(alias: str, question: Question) -> InspectedDatabase:
    found = inspect_database(
        dataclasses.replace(question, alias=alias, remembered=dict(_conditions))
    )
    _conditions.update(found.spelled)
    inspecting.keep(found.spelled)
    return found


def _seen_twice(first: InspectedDatabase, second: InspectedDatabase) -> InspectedDatabase:
    """Keep of two readings what both saw: what only the second saw was in motion.

    Only the second knows what is ahead of migrations.
    """
    calm = {(one.uri, one.schema, one.table): one for one in first.triggers if not one.is_suspect}
    triggers = tuple(
        calm.get((one.uri, one.schema, one.table), one)
        if one.is_suspect and one.verdict is not Verdict.AHEAD
        else one
        for one in second.triggers
    )
    return dataclasses.replace(second, triggers=triggers)
