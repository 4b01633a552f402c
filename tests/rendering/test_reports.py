from __future__ import annotations

import re
from typing import Any

import pytest

from tests.drift.making import allowance_of
from tests.rendering.examples import a_database, a_finding, a_report, a_trigger
from trigger_ops import conf
from trigger_ops.rendering import reports
from trigger_ops.states import Level, Status, Verdict

DOWN = a_database(
    alias="other",
    status="unreachable",
    reason='"other" could not be read: connection refused',
    schemas=0,
)
LITE = a_database(alias="lite", status="not postgresql", reason='"lite" is not PostgreSQL.')
UNREAD = a_trigger(
    uri="shop.Order:view",
    status=Status.UNKNOWN,
    verdict=Verdict.UNVERIFIED,
    reason="no USAGE right",
)


ALLOWED = allowance_of(a_finding())


def advice(number: int, code: str = "I004") -> Any:
    return a_finding(id=f"trigger_ops.{code}", level=Level.INFO, uri=f"shop.Order:t{number}")


def test_a_clean_run_is_one_calm_line() -> None:
    assert reports.as_text(a_report(), colour=False) == (
        "The 1 trigger on 1 database is as registered."
    )


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (
            a_report(databases=(a_database(*[a_trigger()] * 24),)),
            "All 24 triggers on 1 database are as registered.",
        ),
        (
            a_report(
                databases=(
                    a_database(a_trigger(), a_trigger(status=Status.UNALLOWED)),
                    a_database(a_trigger(), a_trigger(status=Status.FOREIGN)),
                )
            ),
            "All 2 triggers on 2 databases are as registered.",
        ),
        (a_report(databases=(a_database(),)), "0 triggers on 1 database."),
        (
            a_report(databases=()),
            "No database here is PostgreSQL: there is nothing to check.",
        ),
        (
            a_report(databases=(LITE,)),
            (
                "Nothing at WARNING or above among 0 triggers on 0 databases. "
                "Incomplete: 1 database could not be read."
            ),
        ),
        (
            a_report(a_finding()),
            "1 finding at WARNING or above (1 CRITICAL) among 1 trigger on 1 database.",
        ),
        (
            a_report(a_finding(), a_finding(level=Level.ERROR), fail_level=Level.CRITICAL),
            "1 finding at CRITICAL (1 CRITICAL, 1 ERROR) among 1 trigger on 1 database.",
        ),
        (
            a_report(advice(1)),
            "Nothing at WARNING or above (1 INFO) among 1 trigger on 1 database.",
        ),
        (
            a_report(a_finding(), a_finding(allowance=ALLOWED), advice(2)),
            (
                "1 finding at WARNING or above (1 CRITICAL, 1 CRITICAL allowed, 1 INFO) "
                "among 1 trigger on 1 database."
            ),
        ),
        (
            a_report(a_finding(allowance=ALLOWED)),
            "Nothing at WARNING or above (1 CRITICAL allowed) among 1 trigger on 1 database.",
        ),
        (
            a_report(databases=(a_database(a_trigger(), UNREAD), DOWN)),
            (
                "Nothing at WARNING or above among 2 triggers on 1 database. "
                "Incomplete: 1 database could not be read and 1 trigger could not be verified."
            ),
        ),
    ],
)
def test_one_sentence_sums_up(report: Any, line: str) -> None:
    assert reports.summary_line(report) == line
    assert reports.as_text(report, colour=False).splitlines()[-1] == line


def test_findings_come_worst_first_each_with_its_fix() -> None:
    report = a_report(
        a_finding(id="trigger_ops.W001", level=Level.WARNING, message="Older.", fix=""),
        a_finding(),
        a_finding(
            id="trigger_ops.C002", uri=None, schema=None, table=None, message="Shared.", fix="x"
        ),
    )
    assert reports.as_text(report, colour=False).splitlines()[:-1] == [
        (
            "CRITICAL trigger_ops.C001 shop.Order:no_del (default public.shop_order): "
            "The body was changed."
        ),
        "  fix: manage.py pgtrigger install shop.Order:no_del",
        f"  see: {conf.runbook('C001')}",
        "CRITICAL trigger_ops.C002 (default): Shared.",
        "  fix: x",
        f"  see: {conf.runbook('C002')}",
        "WARNING trigger_ops.W001 shop.Order:no_del (default public.shop_order): Older.",
        f"  see: {conf.runbook('W001')}",
    ]


def test_a_finding_in_many_schemas_counts_them() -> None:
    finding = a_finding(schemas=("t1", "t2", "t3"), schema="t1", count=3)
    assert reports.subject(finding) == (
        "shop.Order:no_del (default t1.shop_order and 2 more places)"
    )


def test_much_advice_of_one_kind_is_told_in_brief() -> None:
    report = a_report(*map(advice, range(5)), advice(9, "I008"))
    assert reports.as_text(report, colour=False).splitlines()[:3] == [
        (
            "INFO trigger_ops.I004 delete-protected table without a TRUNCATE guard: "
            "shop.Order:t0, shop.Order:t1, shop.Order:t2 and 2 more"
        ),
        "  each with its fix: manage.py pgtrigger check -v 2",
        f"  see: {conf.runbook('I004')}",
    ]
    assert reports.as_text(report, colour=False).count("\n  fix: ") == 1


@pytest.mark.parametrize(
    "changes", [{"every": True}, {"fail_level": Level.INFO}], ids=["asked", "fails for it"]
)
def test_advice_is_told_one_by_one_where_it_matters(changes: dict[str, Any]) -> None:
    report = a_report(*map(advice, range(5)), fail_level=changes.get("fail_level", Level.WARNING))
    text = reports.as_text(report, colour=False, every=changes.get("every", False))
    assert text.count("\n  fix: ") == 5


@pytest.mark.parametrize("level", [Level.WARNING, Level.ERROR, Level.CRITICAL])
def test_what_is_worse_than_advice_is_always_told_one_by_one(level: Level) -> None:
    found = [a_finding(level=level, uri=f"shop.Order:t{number}") for number in range(9)]
    assert reports.as_text(a_report(*found), colour=False).count("\n  fix: ") == 9


def test_what_could_not_be_read_is_named_once() -> None:
    report = a_report(databases=(a_database(a_trigger(), UNREAD), DOWN))
    told = [
        "shop.Order:view (default public.shop_order): no USAGE right",
        '"other" could not be read: connection refused',
    ]
    assert reports.unread(report) == told
    assert reports.unreachable(report.targets) == told[1:]
    for text in (reports.as_text(report, colour=False), reports.as_table(report, colour=False)):
        assert all(text.count(sentence) == 1 for sentence in told)


def test_an_unread_trigger_with_a_finding_is_not_told_twice() -> None:
    found = a_finding(id="trigger_ops.W004", level=Level.WARNING, uri="shop.Order:view")
    report = a_report(found, databases=(a_database(UNREAD),))
    assert reports.unread(report) == []


def test_a_table_has_a_row_a_finding_and_the_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = reports.as_table(a_report(a_finding()), colour=False).splitlines()
    assert any("CRITICAL" in line and "C001" in line for line in lines)
    assert lines[-2] == f"see: {conf.runbook('C001')}"
    assert lines[-1] == reports.summary_line(a_report(a_finding()))


def test_a_table_names_the_page_of_each_id_once() -> None:
    found = [a_finding(uri=f"shop.Order:t{number}") for number in range(3)]
    text = reports.as_table(a_report(*found, advice(1)), colour=False)
    pages = [line for line in text.splitlines() if line.startswith("see: ")]
    assert pages == [f"see: {conf.runbook(code)}" for code in ("C001", "I004")]


@pytest.mark.parametrize("render", [reports.as_text, reports.as_table])
def test_colour_adds_codes_and_nothing_else(render: Any) -> None:
    report = a_report(*map(advice, range(5)), a_finding(), databases=(DOWN,))
    plain = render(report, colour=False)
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[\d;]*m", "", render(report, colour=True)) == plain


def test_a_hostile_message_cannot_fake_a_line() -> None:
    report = a_report(a_finding(message="x\nAll 24 triggers are as registered.\x1b[2J"))
    assert reports.as_text(report, colour=False).splitlines()[0].endswith(r"registered.\x1b[2J")
