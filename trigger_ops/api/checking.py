"""Checks databases for drift, and records what was found."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from trigger_ops.api.inspecting import (
    NOWHERE_ELSE,
    inspect_all,
    known,
    postgres_aliases,
    remember,
)
from trigger_ops.api.looking import look
from trigger_ops.api.recording import recorded
from trigger_ops.api.remembering import with_past
from trigger_ops.catalog.snapshot import Extent
from trigger_ops.drift import Report
from trigger_ops.drift.vouching import scope_words
from trigger_ops.inspection import InspectedDatabase, Scope
from trigger_ops.states import Level


def check(
    *selectors: str,
    databases: Sequence[str] | None = None,
    scope: Scope = NOWHERE_ELSE,
    fail_level: Level = Level.WARNING,
    record: bool = False,
    source: str = "code",
    holder: str = "",
    asked: dt.datetime | None = None,
) -> Report:
    """Check databases for drift and for ways round the triggers; all PostgreSQL ones by default.

    Reads only, unless ``record`` asks to keep a run with its findings, and the canonical
    conditions that were minted. A check that another one answers for, because that is under way
    or began after this one was ``asked`` for, is not recorded twice: the report then carries the
    number of that run.

    Raises:
        UnknownSelector, UnknownDatabase, UnknownSchema: naming the nearest match.
        BadSettings: when the recording database is no PostgreSQL.
    """
    started = dt.datetime.now(dt.UTC)
    aliases = [known(alias) for alias in databases or postgres_aliases()]

    def inspect(some: Sequence[str]) -> list[InspectedDatabase]:
        return inspect_all(selectors, some, scope, surroundings=Extent.ALL)

    run_id, unrecorded = uuid.uuid4(), ""
    if record:
        with recorded(
            aliases,
            selectors,
            scope,
            source=source,
            holder=holder,
            asked=asked or started,
        ) as attempt:
            looks = look(aliases, inspect)
            attempt.record(looks)
        run_id, unrecorded = attempt.run_id or run_id, attempt.reason
        if not unrecorded:
            remember()
    else:
        looks = look(aliases, inspect)
    found = with_past(looks, selectors, scope)
    return Report(
        run_id=run_id,
        started=started,
        finished=dt.datetime.now(dt.UTC),
        databases=tuple(one.database for one in looks),
        findings=tuple(sorted(found, key=lambda finding: -finding.level)),
        fail_level=fail_level,
        unrecorded=unrecorded,
        scope=scope_words(scope),
        whole=not selectors,
    )
