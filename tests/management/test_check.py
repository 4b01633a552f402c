from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from demo_site.past import damage
from tests.management.conftest import Result
from trigger_ops import api, conf
from trigger_ops.drift import Report

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db(databases=["default", "archive"])

TOP = {
    "schema",
    "run_id",
    "started",
    "finished",
    "complete",
    "exit_code",
    "summary",
    "targets",
    "findings",
    "unrecorded",
}
TARGET = {"database", "schemas", "triggers", "status", "ms", "reason"}
FINDING = {
    "id",
    "level",
    "uri",
    "database",
    "schema",
    "schemas",
    "count",
    "table",
    "trigger",
    "status",
    "enabled",
    "facets",
    "message",
    "fix",
    "first_seen",
    "digest",
    "runbook",
    "allowance",
}


def test_a_clean_run_is_one_calm_line(pgtrigger: Run) -> None:
    result = pgtrigger("check", "past.Customer", "-d", "default")
    assert result == Result(0, "The 1 trigger on 1 database is as registered.\n", "")


def test_a_healthy_project_is_clean_on_every_database(pgtrigger: Run) -> None:
    document = pgtrigger("check", "--format", "json").document
    assert (document["complete"], document["exit_code"]) == (True, 0)
    targets = {target["database"]: target["status"] for target in document["targets"]}
    assert targets == {"default": "ok", "archive": "ok"}


def test_json_has_the_documented_keys(pgtrigger: Run) -> None:
    damage.gut()
    result = pgtrigger("check", "--format", "json")
    document = result.document
    assert set(document) == TOP
    assert all(set(target) == TARGET for target in document["targets"])
    assert all(set(finding) == FINDING for finding in document["findings"])
    found = document["findings"][0]
    assert (found["id"], found["level"]) == ("trigger_ops.C001", "CRITICAL")
    assert found["fix"] == "manage.py pgtrigger install past.Invoice:protect_deletes"
    assert result.code == document["exit_code"] == 1


@pytest.mark.parametrize(
    ("change", "level", "code"),
    [
        (damage.gut, "critical", 1),
        (damage.disable, "CRITICAL", 0),
        (damage.disable, "error", 1),
        (damage.outdate, "ERROR", 0),
        (damage.outdate, "warning", 1),
        (damage.foreign, "WARNING", 0),
        (damage.foreign, "info", 1),
    ],
)
def test_the_fail_level_decides_the_exit_code(
    change: Callable[[], str], level: str, code: int, pgtrigger: Run
) -> None:
    change()
    assert pgtrigger("check", "-d", "default", "--fail-level", level).code == code


def test_every_format_names_the_finding(pgtrigger: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    damage.gut()
    results = {
        name: pgtrigger("check", "past", "-d", "default", "--format", name)
        for name in ("text", "table", "json", "junit", "github", "prometheus")
    }
    assert {name: result.code for name, result in results.items()} == dict.fromkeys(results, 1)
    assert results["text"].out.startswith(
        "CRITICAL trigger_ops.C001 past.Invoice:protect_deletes (default public.past_invoice): "
    )
    assert "past.Invoice:protect_deletes" in results["table"].out
    assert ET.fromstring(results["junit"].out.encode()).get("failures") == "1"
    assert results["github"].out.startswith("::error title=trigger_ops.C001 past.Invoice%3A")
    for name in ("text", "table", "json", "junit", "github"):
        assert conf.runbook("C001") in results[name].out, name
    sample = 'trigger_ops_findings{database="default",id="trigger_ops.C001",level="CRITICAL"} 1\n'
    assert sample in results["prometheus"].out


def test_options_reach_the_check(pgtrigger: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    real = api.check

    def spy(*selectors: str, **options: Any) -> Report:
        asked.update(options, selectors=selectors)
        return real(*selectors, **options)

    monkeypatch.setattr(api, "check", spy)
    pgtrigger("check", "past", "-d", "default", "-s", "public", "--record", "--fail-level", "info")
    assert asked["selectors"] == ("past",)
    assert asked["databases"] == ["default"]
    assert asked["scope"].path == ("public",)
    assert asked["record"] is True
    assert asked["fail_level"].name == "INFO"


def test_verbosity_adds_a_line_a_database(pgtrigger: Run) -> None:
    result = pgtrigger("check", "past.Customer", "--all-databases", verbosity=2)
    lines = result.err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["default: ok", "archive: ok"]
