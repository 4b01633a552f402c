from __future__ import annotations

import re
from typing import Any

import pytest

from tests.rendering.examples import a_result, a_run
from trigger_ops.applier import RunReport, StepResult
from trigger_ops.rendering import runs
from trigger_ops.states import Result, Verb

CREATED = a_result(Result.CREATED, "it was missing")
SAME = a_result(Result.UNCHANGED, uri="shop.Order:fine")
SKIPPED = a_result(Result.SKIPPED, uri="shop.Order:late", reason="its table is missing")
FAILED = a_result(Result.FAILED, "lock not available", uri="shop.Order:busy")
FINE = a_run(CREATED, SAME, SKIPPED, SAME)

AGAIN = "Run the same command again for the rest: what is done is not done twice."
SAFE = "Nothing was changed: it is safe to run the same command again."
MEND = "Nothing was changed: mend what is said above, then run the same command again."


@pytest.mark.parametrize(
    ("verbosity", "lines"),
    [
        (0, []),
        (
            1,
            [
                "created shop.Order:no_del it was missing",
                "skipped shop.Order:late   its table is missing",
                "install: 1 created, 2 unchanged, 1 skipped.",
            ],
        ),
        (
            2,
            [
                "created   shop.Order:no_del it was missing",
                "unchanged shop.Order:fine   it was missing",
                "skipped   shop.Order:late   its table is missing",
                "unchanged shop.Order:fine   it was missing",
                "install: 1 created, 2 unchanged, 1 skipped.",
            ],
        ),
    ],
    ids=["0", "1", "2"],
)
def test_verbosity_says_which_triggers_are_lines(verbosity: int, lines: list[str]) -> None:
    assert runs.as_text(FINE, verbosity=verbosity).splitlines() == lines
    assert runs.as_text(FINE, verbosity=3) == runs.as_text(FINE, verbosity=2)


def test_a_failure_is_told_even_to_those_who_want_silence() -> None:
    text = runs.as_text(a_run(CREATED, FAILED), verbosity=0)
    assert text.splitlines() == [
        "failed shop.Order:busy lock not available",
        "install: 1 created, 1 failed.",
        AGAIN,
    ]


@pytest.mark.parametrize(
    ("results", "changes", "last"),
    [
        ([CREATED], {"stopped": "The connection went away."}, AGAIN),
        ([CREATED, FAILED], {"busy": True}, AGAIN),
        ([SAME], {"stopped": "Another run is at work.", "busy": True}, SAFE),
        ([FAILED], {"busy": True}, SAFE),
        ([SKIPPED, FAILED], {}, MEND),
        ([], {"stopped": "The server is read-only."}, MEND),
    ],
    ids=range(6),
)
def test_a_run_that_was_cut_short_says_what_to_do_next(
    results: list[StepResult], changes: dict[str, Any], last: str
) -> None:
    lines = runs.as_text(a_run(*results, **changes)).splitlines()
    assert lines[-1] == last
    if changes.get("stopped"):
        assert lines[-3] == f"stopped: {changes['stopped']}"


@pytest.mark.parametrize(
    "place", [{"database": "other"}, {"schema": "tenant"}], ids=["databases", "schemas"]
)
def test_several_places_are_told_apart(place: dict[str, str]) -> None:
    there = a_result(Result.CREATED, "new", **place)
    where = f"{place.get('database', 'default')} {place.get('schema', 'public')}.shop_order"
    lines = runs.as_text(a_run(CREATED, there)).splitlines()
    assert lines[0].split("no_del ")[1].startswith("default public.shop_order ")
    assert lines[1].split("no_del ")[1].split(" new")[0].strip() == where


def test_warnings_stand_before_the_summary() -> None:
    lines = runs.as_text(a_run(warnings=("Nothing is pruned.",), verb=Verb.PRUNE)).splitlines()
    assert lines == ["warning: Nothing is pruned.", "prune: nothing done."]


def test_large_numbers_are_easy_to_read() -> None:
    assert runs.summary(a_run(*[SAME] * 2000)) == "install: 2,000 unchanged."


@pytest.mark.parametrize("report", [FINE, a_run(*map(a_result, Result), stopped="It ended.")])
def test_colour_adds_codes_and_nothing_else(report: RunReport) -> None:
    plain = runs.as_text(report, verbosity=2)
    painted = runs.as_text(report, verbosity=2, colour=True)
    assert painted.startswith("\x1b[92mcreated\x1b[0m")
    assert re.sub(r"\x1b\[\d+m", "", painted) == plain


def test_no_name_or_error_can_fake_a_line() -> None:
    evil = "a\nfailed \x1b[2J"
    report = a_run(a_result(Result.FAILED, evil, uri=evil), stopped=evil, warnings=(evil,))
    text = runs.as_text(report)
    assert text.count(r"a\nfailed \x1b[2J") == 4
    assert len(text.splitlines()) == 5
