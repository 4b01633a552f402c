"""What was decided about findings is written as it was decided, and pruned when it is over."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest
from django.db.models import F

from tests.drift.making import in_tenants, make_finding
from trigger_ops.drift import Finding
from trigger_ops.drift.life import Seen, by_key, follow
from trigger_ops.ledger.findings import (
    prune_records,
    prune_scope,
    read_open_findings,
    record_of,
    write_steps,
)
from trigger_ops.ledger.recording import recording
from trigger_ops.models import DriftFinding, DriftRun, DriftTarget, FindingEvent, Notice
from trigger_ops.records import Destination, FindingChange
from trigger_ops.states import Enabled, EventKind, Level

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)
FINDING = make_finding()
INFO = make_finding(id="trigger_ops.I004", level=Level.INFO)


def destination(name: str, level: Level = Level.WARNING, *kinds: EventKind) -> Destination:
    return Destination(name=name, backend="email", level=level, kinds=frozenset(kinds), options={})


PAGER = destination("pager", Level.CRITICAL)
MAIL = destination("mail", Level.INFO)
ENDS = destination("ends", Level.INFO, EventKind.RESOLVED)


def look(*findings: Finding, tell: Sequence[Destination] = (), **seen: Any) -> list[FindingChange]:
    """Record a check that saw these findings; return what people are told."""
    with recording() as book:
        made = DriftRun.objects.create(source="test", finished=book.now, complete=True)
        before = read_open_findings(book, ["default"])
        steps = list(follow(before, Seen(findings=by_key(findings), **seen), now=book.now))
        return write_steps(book, made.id, steps, tell)


def told() -> list[tuple[str, str, str]]:
    """Return destination, ID and kind of all notices."""
    rows = Notice.objects.order_by("destination", "pk")
    return [(one.destination, one.event.finding.code, one.event.kind) for one in rows]


def open_rows() -> list[DriftFinding]:
    return list(DriftFinding.objects.filter(resolved__isnull=True).order_by("pk"))


def test_a_finding_is_kept_as_it_is() -> None:
    (change,) = look(FINDING)
    (row,) = open_rows()
    assert change.finding == record_of(row)
    assert (row.code, row.level, row.uri) == (FINDING.id, "CRITICAL", FINDING.uri)
    assert (row.schemas, row.facets, row.told_count) == (["public"], ["body"], 1)
    assert row.first_seen == row.last_seen
    (event,) = row.events.all()
    assert (event.kind, event.digest, event.message) == ("opened", row.digest, row.message)
    assert event.run == DriftRun.objects.get().id


@pytest.mark.parametrize(
    "text", ["", "line\nbreak", "%s %d {x}", "\x1b[31m", "<b>'\"; --", "ünïcödé 🦆", "x" * 20_000]
)
def test_any_text_is_kept_as_it_is(text: str) -> None:
    look(make_finding(message=text, fix=text, uri=text or None, schemas=(text,)))
    (row,) = open_rows()
    assert (row.message, row.fix, row.uri, row.schemas) == (text, text, text, [text])


def test_who_is_told_is_who_wants_to_be() -> None:
    tell = [PAGER, MAIL, ENDS]
    look(FINDING, INFO, tell=tell)
    look(FINDING, INFO, tell=tell)
    look(tell=tell)
    assert sorted(told()) == [
        ("ends", "trigger_ops.C001", "resolved"),
        ("ends", "trigger_ops.I004", "resolved"),
        ("mail", "trigger_ops.C001", "opened"),
        ("mail", "trigger_ops.C001", "resolved"),
        ("mail", "trigger_ops.I004", "opened"),
        ("mail", "trigger_ops.I004", "resolved"),
        ("pager", "trigger_ops.C001", "opened"),
        ("pager", "trigger_ops.C001", "resolved"),
    ]


def test_what_is_seen_again_changes_nothing_but_the_time() -> None:
    look(FINDING)
    before = DriftFinding.objects.values().get()
    assert look(FINDING, tell=[MAIL]) == []
    after = DriftFinding.objects.values().get()
    assert after.pop("last_seen") > before.pop("last_seen")
    assert after == before
    assert FindingEvent.objects.count() == 1


ATTRIBUTES: dict[str, Any] = {
    "message": "else",
    "fix": "else",
    "level": Level.ERROR,
    "enabled": Enabled.DISABLED,
    "uri": "past.Bill:protect_deletes",
    "schemas": ("public", "other"),
    "count": 2,
    "facets": (),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_what_changes_beside_the_digest_is_brought_up_to_date(name: str) -> None:
    look(in_tenants(3))
    changed = dataclasses.replace(in_tenants(3), **{name: ATTRIBUTES[name]})
    look(changed, tell=[MAIL])
    (row,) = open_rows()
    record = record_of(row)
    expected = ATTRIBUTES[name]
    assert getattr(record, name) == (tuple(sorted(expected)) if name == "schemas" else expected)
    assert told() == []


def test_what_resolved_keeps_what_it_was_and_comes_back_as_another() -> None:
    look(FINDING)
    look()
    (row,) = DriftFinding.objects.all()
    assert row.resolved is not None
    assert row.message == FINDING.message
    look(FINDING)
    assert DriftFinding.objects.count() == 2
    assert len(open_rows()) == 1


def test_three_thousand_findings_in_one_run() -> None:
    many = [make_finding(table=f"table_{number}") for number in range(3000)]
    assert len(look(*many, tell=[MAIL])) == 3000
    assert (len(open_rows()), Notice.objects.count()) == (3000, 3000)
    changed = [dataclasses.replace(one, digest="0" * 64) for one in many[:1500]]
    assert len(look(*changed, tell=[MAIL])) == 3000
    assert (len(open_rows()), Notice.objects.count()) == (1500, 6000)


def test_open_findings_are_read_by_database() -> None:
    look(FINDING)
    with recording() as book:
        assert len(read_open_findings(book)) == 1
        assert len(read_open_findings(book, ["default"])) == 1
        assert read_open_findings(book, ["archive"]) == []
        assert read_open_findings(book, []) == []


# Retention --------------------------------------------------------------------------------------


def age(by: dt.timedelta) -> None:
    """Have all that there is happen so much earlier."""
    DriftRun.objects.update(began=F("began") - by, finished=F("finished") - by)
    DriftFinding.objects.update(
        first_seen=F("first_seen") - by, last_seen=F("last_seen") - by, resolved=F("resolved") - by
    )
    FindingEvent.objects.update(at=F("at") - by)
    Notice.objects.update(written=F("written") - by)


def prune(older_than: dt.timedelta = DAY) -> dict[str, int]:
    with recording() as book:
        return prune_records(book, older_than)


def test_what_is_over_for_long_goes_and_the_rest_stays() -> None:
    gone, still = make_finding(table="gone"), make_finding(table="still")
    look(gone, still, tell=[MAIL])
    look(still, tell=[MAIL])
    age(2 * DAY)
    look(still, make_finding(table="fresh"))
    look(still)
    runs = list(DriftRun.objects.order_by("began").values_list("pk", flat=True))
    assert prune() == {"runs": 2, "findings": 1}
    assert sorted(DriftFinding.objects.values_list("table", flat=True)) == ["fresh", "still"]
    assert list(DriftRun.objects.order_by("began").values_list("pk", flat=True)) == runs[2:]
    assert [one.kind for one in FindingEvent.objects.filter(finding__table="still")] == ["opened"]
    assert prune() == {"runs": 0, "findings": 0}


def test_the_last_complete_run_stays_however_old() -> None:
    look()
    look()
    age(200 * DAY)
    DriftRun.objects.create(source="test", began=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    newest = DriftRun.objects.filter(complete=True).order_by("-finished").first()
    assert newest is not None
    assert prune() == {"runs": 2, "findings": 0}
    assert list(DriftRun.objects.all()) == [newest]


def test_what_vouches_for_a_database_stays_although_less_was_read_since() -> None:
    runs = {}
    for scope in ("--schema-glob *", "", "--schema a"):
        with recording() as book:
            made = DriftRun.objects.create(source="test", scope=scope, finished=book.now)
            DriftTarget.objects.create(run=made, database="default", state="ok", finished=book.now)
        runs[scope] = made.pk
    age(200 * DAY)
    DriftTarget.objects.update(finished=F("finished") - 200 * DAY)
    with recording() as book:
        assert prune_records(book, DAY, ["default"]) == {"runs": 2, "findings": 0}
        assert DriftRun.objects.get().pk == runs["--schema-glob *"]
        assert prune_scope(book, DAY, "--schema-glob *") == 1


def test_a_run_that_somebody_is_at_stays() -> None:
    with recording() as book:
        made = DriftRun.objects.create(source="test", began=book.now - 9 * DAY)
        DriftTarget.objects.create(run=made, database="default", claimed_until=book.now + DAY)
    assert prune()["runs"] == 0
    DriftTarget.objects.update(claimed_until=None)
    assert prune()["runs"] == 1


def test_what_somebody_is_still_to_be_told_of_stays_for_a_day() -> None:
    look(FINDING, tell=[MAIL])
    look(tell=[MAIL])
    assert prune(dt.timedelta())["findings"] == 0
    Notice.objects.update(sent=F("written"))
    assert prune(dt.timedelta())["findings"] == 1
    look(FINDING, tell=[MAIL])
    look(tell=[MAIL])
    age(2 * DAY)
    assert prune()["findings"] == 1
    assert not Notice.objects.exists()
