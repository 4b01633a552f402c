"""JUnit and GitHub, with names that try to break out of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rendering.examples import a_database, a_finding, a_report, a_trigger
from trigger_ops import conf
from trigger_ops.drift import Report
from trigger_ops.rendering.github import as_github
from trigger_ops.rendering.junit import as_junit
from trigger_ops.states import Level, Status, Verdict

DOWN = a_database(alias="down", status="unreachable", reason='"down" could not be read: refused')
CLEAN = a_database(a_trigger(database="clean"), alias="clean")
LITE = a_database(alias="lite", status="not postgresql", reason="not PostgreSQL")
UNKNOWN = a_trigger(status=Status.UNKNOWN, verdict=Verdict.UNVERIFIED)


def outcomes(report: Report) -> list[tuple[str | None, str, str | None]]:
    """Return (database, outcome, type) of each test case."""
    root = ET.fromstring(as_junit(report).encode())
    found = []
    for case in root.iter("testcase"):
        child = next(iter(case), None)
        found.append(
            (
                case.get("classname"),
                "passed" if child is None else child.tag,
                None if child is None else child.get("type"),
            )
        )
    return found


def test_junit_has_a_case_a_finding_and_one_a_clean_database() -> None:
    report = a_report(
        a_finding(level=Level.INFO),
        a_finding(),
        databases=(a_database(a_trigger()), CLEAN, DOWN, LITE),
    )
    assert outcomes(report) == [
        ("trigger_ops.default", "failure", "CRITICAL"),
        ("trigger_ops.default", "system-out", None),
        ("trigger_ops.clean", "passed", None),
        ("trigger_ops.down", "error", "INCOMPLETE"),
        ("trigger_ops.lite", "error", "INCOMPLETE"),
    ]
    suite = ET.fromstring(as_junit(report).encode())[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("5", "1", "2")
    assert suite.get("time") == "1.500"


def test_each_case_of_a_finding_has_its_fix_and_its_page() -> None:
    report = a_report(a_finding(level=Level.INFO), a_finding(), a_finding(fix=""))
    for case in ET.fromstring(as_junit(report).encode()).iter("testcase"):
        (text,) = [child.text or "" for child in case]
        assert text.endswith(f"\nsee: {conf.runbook('C001')}")


def test_junit_has_an_error_for_every_way_of_being_incomplete() -> None:
    unverified = a_finding(id="trigger_ops.W004", level=Level.WARNING, status=Status.UNKNOWN)
    assert outcomes(a_report(databases=(a_database(UNKNOWN),))) == [
        ("trigger_ops.default", "error", "INCOMPLETE")
    ]
    report = a_report(unverified, databases=(a_database(UNKNOWN),))
    assert {outcome for _, outcome, _ in outcomes(report)} == {"error"}


@given(st.text(st.characters(codec=None), max_size=20))
def test_junit_is_xml_whatever_the_names_are(hostile: str) -> None:
    finding = a_finding(uri=hostile, database=hostile, message=hostile, fix=hostile, table=hostile)
    report = a_report(finding, databases=(a_database(alias=hostile),))
    (case,) = ET.fromstring(as_junit(report).encode("utf-8")).iter("testcase")
    assert case.find("failure") is not None


@pytest.mark.parametrize(
    ("level", "command"),
    [
        (Level.CRITICAL, "error"),
        (Level.ERROR, "error"),
        (Level.WARNING, "warning"),
        (Level.INFO, "notice"),
    ],
)
def test_github_gets_one_annotation_a_finding(level: Level, command: str) -> None:
    assert as_github(a_report(a_finding(level=level, fix=""))).splitlines()[0] == (
        f"::{command} title=trigger_ops.C001 shop.Order%3Ano_del (default public.shop_order)"
        f"::The body was changed.%0Asee: {conf.runbook('C001')}"
    )


def test_github_escapes_as_the_runner_unescapes() -> None:
    finding = a_finding(
        uri="a%,:b", message="100%\r\n::set-output x", fix="", schema=None, table=None
    )
    assert as_github(a_report(finding)).splitlines()[0] == (
        "::error title=trigger_ops.C001 a%25%2C%3Ab (default)::100%25%0D%0A::set-output x"
        f"%0Asee: {conf.runbook('C001')}"
    )


def test_github_names_what_could_not_be_read() -> None:
    assert as_github(a_report(databases=(DOWN,))).splitlines() == [
        '::error title=Incomplete::"down" could not be read: refused',
        (
            "Nothing at WARNING or above among 0 triggers on 0 databases. "
            "Incomplete: 1 database could not be read."
        ),
    ]


@given(st.text(max_size=20))
def test_github_never_gets_a_second_command(hostile: str) -> None:
    finding = a_finding(uri=hostile, database=hostile, message=hostile, fix=hostile)
    text = as_github(a_report(finding))
    assert len(re.findall(r"(?:^|[\r\n])\s*::", text)) == 1
    assert text.count("\n") == 1


@pytest.mark.parametrize("rendered", [as_github, as_junit])
def test_no_name_reaches_a_terminal_with_its_escape_sequences(
    rendered: Callable[[Report], str],
) -> None:
    hostile = "a\x1b[2J\x07"
    text = rendered(a_report(a_finding(uri=hostile, message=hostile, fix=hostile)))
    assert text.replace("\n", "").isprintable()
    assert text.count(r"a\x1b[2J\x07") >= 3
