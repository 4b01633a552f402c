"""The demo's recorded checks: 30 days of them, as the ledger writes them, and only once."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from demo_site import samples
from demo_site.past import checks, damage
from tests.damage import pgid, run
from tests.web.recorded import address, log_in, see
from trigger_ops import api
from trigger_ops.models import Allowance, DriftFinding, DriftRun, DriftTarget, FindingEvent, Notice
from trigger_ops.web import freshness
from trigger_ops.web.drift_history import read_days
from trigger_ops.web.freshness import stale_banner

pytestmark = pytest.mark.django_db(databases=["default", "archive"])


@pytest.fixture
def past() -> None:
    samples.load()
    damage.apply()
    freshness.forget()
    assert not checks.are_recorded()
    checks.record()
    assert checks.are_recorded()


def findings(**wanted: Any) -> list[tuple[str, str]]:
    rows = DriftFinding.objects.exclude(level="INFO").filter(**wanted).order_by("first_seen")
    return [(one.code.removeprefix("trigger_ops."), one.uri.partition(":")[0]) for one in rows]


def test_each_day_has_a_run_but_those_on_which_nobody_ran_one(past: None) -> None:
    today = DriftRun.objects.latest("began").began.astimezone(dt.UTC).date()
    days = read_days("default", today)
    kinds = [one.kind for one in days]
    assert len(kinds) == 30
    assert [len(days) - 1 - place for place, kind in enumerate(kinds) if kind == "none"] == list(
        checks.SILENT
    )
    assert kinds[-1 - 14] == "critical"
    assert kinds[-1 - 25] == "error"
    assert kinds[-1] == "critical"
    assert [one.state for one in DriftTarget.objects.exclude(state="ok")] == ["unreachable"]
    assert DriftRun.objects.filter(complete=False).count() == 1


def test_findings_opened_one_after_the_other_and_two_were_resolved(past: None) -> None:
    assert findings(resolved__isnull=True) == [
        ("W002", "past_contract"),
        ("E002", "past.Payroll"),
        ("W001", "past.PriceList"),
        ("C001", "past.Invoice"),
    ]
    assert findings(resolved__isnull=False) == [
        ("E001", "past.Receipt"),
        ("C001", "past.Customer"),
    ]
    kinds = set(FindingEvent.objects.values_list("kind", flat=True))
    assert kinds == {"opened", "resolved", "allowed"}
    for one in DriftFinding.objects.filter(resolved__isnull=False):
        assert one.first_seen <= one.last_seen < one.resolved


def test_the_last_run_is_a_real_one_that_found_nothing_else(past: None) -> None:
    report = api.check(record=True)
    last = DriftRun.objects.latest("began")
    assert str(last.id) == str(report.run_id)
    events = FindingEvent.objects.filter(run__in=[last.id])
    assert list(events.values_list("kind", flat=True)) == []
    assert stale_banner() is None


def test_somebody_answers_for_the_administrators_trigger(past: None) -> None:
    row = Allowance.objects.get()
    assert DriftFinding.objects.get(key=row.key).trigger == damage.AUDIT
    assert DriftFinding.objects.get(key=row.key).allowed
    assert not Notice.objects.exists()


def test_the_damage_that_was_repaired_is_not_in_the_database(past: None) -> None:
    names = [pgid("past.Receipt:append_only"), pgid("past.Customer:read_only_email")]
    rows = run(
        "SELECT prosrc LIKE '%%RAISE%%' FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid "
        "WHERE tgname = ANY (%s)",
        names,
    )
    assert rows == [(True,), (True,)]


def test_pages_show_it(past: None) -> None:
    client = log_in("view_driftrun", "view_driftfinding", "view_allowance")
    for page in ("drift_history", "driftrun_changelist", "driftfinding_changelist"):
        assert "<main" in see(client, address(page))
