"""The chart of drift: its shapes, the days behind it, and the table that says the same."""

from __future__ import annotations

import datetime as dt
import html
import itertools
import re
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.damage import run
from tests.drift.making import make_finding
from tests.web.recorded import WRITES, address, log_in, look, ran, read, see, words
from trigger_ops.states import Level
from trigger_ops.web import freshness
from trigger_ops.web.charts import HIGH, WORST_FIRST, Day, ceiling, charted
from trigger_ops.web.columns import NOTHING
from trigger_ops.web.drift_history import DAYS, read_days

TODAY = dt.date(2026, 11, 23)
NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)

recorded = pytest.mark.django_db(databases=["default", "archive"])


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    freshness.forget()
    yield
    freshness.forget()


# Shapes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("most", "top"), [(0, 4), (1, 4), (4, 4), (5, 8), (9, 20), (21, 40), (41, 80), (81, 200)]
)
def test_the_scale_ends_at_a_round_number(most: int, top: int) -> None:
    assert ceiling(most) == top


@given(st.integers(0, 10**9))
def test_the_scale_holds_what_there_is_and_not_much_more(most: int) -> None:
    top = ceiling(most)
    assert top >= most
    assert top % 4 == 0
    assert top <= max(4, most * 2.5)


COUNTS = st.lists(
    st.dictionaries(st.sampled_from(list(Level)), st.integers(0, 500)), min_size=1, max_size=40
)


@given(COUNTS)
def test_bars_stand_on_each_other_within_the_drawing(counts: list[dict[Level, int]]) -> None:
    days = [
        Day(date=TODAY + number * DAY, runs=1, read=1, levels=levels)
        for number, levels in enumerate(counts)
    ]
    chart = charted(days)
    top = ceiling(max(day.total for day in days))
    for _, group in itertools.groupby(chart.segments, key=lambda one: one.x):
        parts = list(group)
        assert [one.level for one in parts] == [
            level for level in WORST_FIRST if parts[0].day.levels.get(level)
        ]
        assert abs(parts[0].y + parts[0].height - chart.base) <= 1
        for lower, upper in itertools.pairwise(parts):
            assert abs(upper.y + upper.height - lower.y) <= 1
        for one in parts:
            assert abs(one.height - HIGH * one.count / top) <= 1
            assert one.height >= 1
            assert one.y >= 0
            assert one.x + chart.cell <= chart.width
    assert [one.number for one in chart.ticks] == [top * step // 4 for step in range(5)]
    assert chart.labels[-1].date == days[-1].date


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({}, "none"),
        ({"runs": 1, "read": 1}, "clean"),
        ({"runs": 1, "read": 1, "unread": 1}, "unread"),
        ({"runs": 1, "unread": 2}, "unread"),
        ({"runs": 1, "read": 1, "worst": Level.INFO}, "info"),
        ({"runs": 1, "read": 1, "unread": 1, "worst": Level.CRITICAL}, "critical"),
    ],
)
def test_a_day_is_what_it_was_at_worst(facts: dict[str, Any], kind: str) -> None:
    assert Day(date=TODAY, **facts).kind == kind


# Days --------------------------------------------------------------------------------------------


def day(number: int = 0) -> Day:
    """Return what is on record of the day so many days ago."""
    days = read_days("default", TODAY)
    assert [one.date for one in days] == [TODAY - ago * DAY for ago in reversed(range(DAYS))]
    return days[-1 - number]


@recorded
def test_a_day_ends_with_the_last_reading_of_each_database() -> None:
    ran(NOON, levels={"default": {"CRITICAL": 1, "INFO": 3}, "archive": {"WARNING": 2}})
    ran(NOON + HOUR, levels={"default": {"INFO": 4}})
    found = day()
    assert (found.runs, found.read, found.unread) == (2, 3, 0)
    assert found.worst is Level.CRITICAL
    assert found.levels == {Level.INFO: 4, Level.WARNING: 2}
    assert found.total == 6
    assert day(1).kind == "none"


@recorded
def test_what_could_not_be_read_is_told_apart_from_what_was_clean() -> None:
    ran(NOON, levels={"default": {}, "archive": {}}, states={"archive": "unreachable"})
    ran(NOON - DAY, levels={"default": {}, "lite": {}}, states={"lite": "not postgresql"})
    assert (day().kind, day().read, day().unread) == ("unread", 1, 1)
    assert (day(1).kind, day(1).read, day(1).unread) == ("clean", 1, 0)


@recorded
def test_runs_of_a_part_or_that_go_on_are_left_out() -> None:
    ran(NOON, levels={"default": {"CRITICAL": 1}}, whole=False)
    going = ran(NOON, levels={"default": {"CRITICAL": 1}})
    going.finished = None
    going.save()
    assert day().kind == "none"


@recorded
def test_thirty_days_and_no_more_are_read() -> None:
    ran(NOON - (DAYS - 1) * DAY, levels={"default": {"ERROR": 1}})
    ran(NOON - DAYS * DAY, levels={"default": {"CRITICAL": 1}})
    days = read_days("default", TODAY)
    assert [one.kind for one in days if one.kind != "none"] == ["error"]
    assert days[0].kind == "error"


@recorded
def test_days_begin_at_midnight_of_whoever_looks() -> None:
    ran(dt.datetime(2026, 11, 22, 20, tzinfo=dt.UTC), levels={"default": {"ERROR": 1}})
    assert (day().kind, day(1).kind) == ("none", "error")
    with timezone.override(ZoneInfo("Asia/Tokyo")):
        assert (day().kind, day(1).kind) == ("error", "none")


@recorded
def test_without_time_zones_the_days_are_those_of_utc(settings: Any) -> None:
    ran(NOON, levels={"default": {"ERROR": 1}})
    settings.USE_TZ = False
    found = log_in("view_driftrun").get(address("drift_history"))
    assert found.status_code == 200


# The page ----------------------------------------------------------------------------------------

PAGE = "drift_history"


@pytest.fixture
def ann(db: None) -> Client:
    return log_in("view_driftrun", "view_driftfinding")


def rows(markup: str) -> list[list[str]]:
    """Return the cells of the table, row by row."""
    body = markup.rpartition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [words(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)]
        for row in re.findall(r"<tr>(.*?)</tr>", body, re.S)
    ]


@recorded
def test_the_table_says_what_the_drawings_show(ann: Client) -> None:
    now = timezone.now()
    ran(now, levels={"default": {"CRITICAL": 1, "INFO": 12}})
    ran(
        now - 2 * DAY,
        levels={"default": {"WARNING": 3}, "archive": {}},
        states={"archive": "lost"},
    )
    markup = see(ann, address(PAGE))
    table = rows(markup)
    assert len(table) == DAYS
    assert table[0][1:] == ["✖ CRITICAL", "1", "0", "1", "0", "0", "12"]
    assert table[1][1:] == [f"{NOTHING} no check ran", "0", "0", "0", "0", "0", "0"]
    assert table[2][1:] == ["▲ WARNING", "1", "1", "0", "0", "3", "0"]
    strip, bars = re.findall(r'<svg class="tops-chart".*?</svg>', markup, re.S)
    assert len(re.findall(r'<rect class="tops-day tops-day-(\w+)"', strip)) == DAYS
    assert re.findall(r'tops-day tops-day-(\w+)"', strip)[-3:] == ["warning", "none", "critical"]
    parts = re.findall(r'<rect class="tops-bar tops-bar-(\w+)".*?: (\d+) \w+</title>', bars)
    assert parts == [("warning", "3"), ("critical", "1"), ("info", "12")]


@recorded
def test_the_drawings_have_names_and_no_style_of_their_own(ann: Client) -> None:
    ran(timezone.now(), levels={"default": {"CRITICAL": 1}})
    markup = see(ann, address(PAGE))
    for svg in re.findall(r'<svg class="tops-chart".*?</svg>', markup, re.S):
        named = re.search(r'role="img" aria-labelledby="(\S+) (\S+)"', svg)
        assert named
        assert re.search(rf'<title id="{named[1]}">[^<]+</title>', svg)
        assert re.search(rf'<desc id="{named[2]}">[^<]+</desc>', svg)
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\bsrc=)", markup)
    assert "CRITICAL on 1 day" in html.unescape(markup)
    assert len(set(re.findall(r'\sid="([^"]+)"', markup))) == len(re.findall(r'\sid="', markup))
    headings = re.findall(r"<h([1-6])", markup.partition("<main")[2].partition("</main")[0])
    assert headings == ["1", "2", "2", "2"]


@recorded
def test_numbers_of_the_drawings_are_no_mans_language(ann: Client, settings: Any) -> None:
    settings.USE_I18N, settings.LANGUAGE_CODE = True, "de"
    settings.USE_THOUSAND_SEPARATOR = True
    ran(timezone.now(), levels={"default": {"CRITICAL": 12345}})
    markup = see(ann, address(PAGE))
    for attribute in ("x", "y", "width", "height", "x1", "x2", "y1", "y2", "viewBox"):
        for value in re.findall(rf'<(?:rect|line|text|svg)[^>]*\s{attribute}="([^"]*)"', markup):
            assert re.fullmatch(r"[\d ]+", value), (attribute, value)


@recorded
def test_a_day_leads_to_its_runs(ann: Client) -> None:
    run_ = ran(timezone.now())
    ran(timezone.now() - 3 * DAY)
    markup = see(ann, address(PAGE))
    link = re.search(r'<th scope="row"><time[^>]*><a href="([^"]+)"', markup)
    assert link
    listed = see(ann, html.unescape(link[1]))
    assert "1 drift run" in words(listed)
    assert str(run_.pk) in listed


@recorded
def test_what_is_open_is_said_above(ann: Client) -> None:
    assert "Open now: ✔ nothing" in read(ann, address(PAGE))
    look(make_finding(), make_finding(trigger="pgtrigger_x", level=Level.INFO))
    told = read(ann, address(PAGE))
    assert "Open now: ✖ CRITICAL 1, ● INFO 1 · see them" in told
    alone = read(log_in("view_driftrun", name="bob"), address(PAGE))
    assert "CRITICAL 1" in alone
    assert "see them" not in alone


@recorded
def test_without_a_run_it_says_how_to_have_one(ann: Client) -> None:
    told = read(ann, address(PAGE))
    assert "No check of these days is on record." in told
    assert "manage.py pgtrigger check --record" in told


@recorded
def test_it_is_for_those_who_may_see_runs() -> None:
    assert Client().get(address(PAGE)).status_code == 302
    stranger = log_in("view_driftfinding")
    assert "trigger_ops.view_driftrun" in read(stranger, address(PAGE), status=403)


@recorded
def test_without_tables_there_is_a_sentence(ann: Client) -> None:
    run("DROP TABLE trigger_ops_drifttarget CASCADE")
    assert "manage.py migrate" in read(ann, address(PAGE), status=503)


@recorded
def test_many_runs_take_as_many_queries_as_one_and_write_nothing(ann: Client) -> None:
    taken = []
    for number in (1, 40):
        for one in range(number):
            ran(timezone.now() - one * HOUR, levels={"default": {"INFO": 1}, "archive": {}})
        see(ann, address(PAGE))  # Django keeps content types
        freshness.forget()
        with CaptureQueriesContext(connection) as queries:
            see(ann, address(PAGE))
        assert not [one for one in queries if WRITES.match(one["sql"])]
        taken.append(len(queries))
    assert taken[0] == taken[1] < 16
