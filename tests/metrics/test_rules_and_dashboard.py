"""The alert rules and the dashboard use nothing but metrics, labels and values that there are."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError

from tests.metrics.promql import BY_NAME, Query, Wrong
from tests.test_docs import anchors
from trigger_ops.management.commands.pgtrigger import Command
from trigger_ops.metrics import METRICS

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "metrics"
GROUPS = yaml.safe_load((FOLDER / "alert-rules.yml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana-dashboard.json").read_text())
ROWS = [one for one in DASHBOARD["panels"] if one["type"] == "row"]
PANELS = [one for one in DASHBOARD["panels"] if one["type"] != "row"]
TARGETS = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]


# The parser ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("trigger_ops_triggers", {"database", "status"}),
        ("max by (database) (trigger_ops_triggers) > 0", {"database"}),
        ("time() - max(trigger_ops_last_ok_timestamp_seconds)", set()),
        ("delta(trigger_ops_notices_given_up[1h])", set()),
    ],
)
def test_what_is_right_is_read(text: str, labels: set[str]) -> None:
    assert Query(text).labels == labels


@pytest.mark.parametrize(
    "text",
    [
        "",
        "trigger_ops_trigger",
        "max(trigger_ops_triggers",
        "max(trigger_ops_triggers))",
        "max by (level) (trigger_ops_triggers)",
        "maximum(trigger_ops_triggers)",
        "delta(trigger_ops_notices_given_up)",
        "trigger_ops_notices_given_up[1h]",
        "delta(trigger_ops_notices_given_up[1 hour])",
        'trigger_ops_triggers{level="CRITICAL"}',
        'trigger_ops_triggers{status="installed"}',
        'trigger_ops_triggers{status="INSTALLED}',
        'trigger_ops_triggers{status="INSTALLED"',
        'trigger_ops_target_state{state!~"ok|fine"}',
        'trigger_ops_sessions_open{state="ended"}',
        "trigger_ops_triggers >",
        "trigger_ops_triggers 0",
        "trigger_ops_triggers - trigger_ops_findings",
    ],
)
def test_what_prometheus_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(Wrong):
        Query(text)


# Alert rules --------------------------------------------------------------------------------------


def test_rules_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names)) >= 11
    assert all(re.fullmatch(r"TriggerOps[A-Z][A-Za-z]+", name) for name in names)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_can_be_evaluated_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"\d+[smhd]", rule.get("for", "0m"))
    assert rule["labels"]["severity"] in ("critical", "error", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    query = Query(rule["expr"])
    texts = " ".join(rule["annotations"].values())
    for label in re.findall(r"\$labels\.(\w+)", texts):
        assert label in query.labels
    assert (
        re.sub(r"\{\{ \$(labels\.\w+|value)( \| humanizeDuration)? \}\}", "", texts).find("{")
        == -1
    )
    assert query.labels == set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_the_commands_of_a_rule_can_be_typed(rule: dict[str, Any]) -> None:
    text = re.sub(r"\{\{ \$labels\.database \}\}", "default", rule["annotations"]["description"])
    for command in re.findall(r"manage\.py pgtrigger ([^;:]+)", text):
        try:
            Command().create_parser("manage.py", "pgtrigger").parse_args(command.split())
        except CommandError as error:
            pytest.fail(f"{command}: {error}")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_the_runbook_of_a_rule_is_a_section_of_the_documentation(rule: dict[str, Any]) -> None:
    link = rule["annotations"]["runbook_url"].removeprefix("https://docs.example.com/trigger_ops/")
    page, _, anchor = link.partition("#")
    assert anchor in anchors(FOLDER.parent / page)


def test_everything_that_should_page_has_its_rule() -> None:
    used = {name for rule in RULES for name in Query(rule["expr"]).metrics}
    assert used == set(BY_NAME) - {
        # What these say, the others say by level, or nobody has to get up for.
        "trigger_ops_triggers",
        "trigger_ops_findings",
        "trigger_ops_findings_allowed",
        "trigger_ops_check_duration_seconds",
        "trigger_ops_last_check_timestamp_seconds",
    }
    levels = {level for rule in RULES for level in re.findall(r'level="(\w+)"', rule["expr"])}
    assert levels == {"CRITICAL", "ERROR", "WARNING"}


# The dashboard ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("title", "target"), TARGETS)
def test_a_panel_asks_for_what_there_is(title: str, target: dict[str, Any]) -> None:
    query = Query(target["expr"])
    for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
        assert label in query.labels
    assert target["datasource"]["uid"] == "${datasource}"


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {name for _, target in TARGETS for name in Query(target["expr"]).metrics}
    assert shown == {one.name for one in METRICS}


def test_the_variables_of_the_queries_are_declared() -> None:
    declared = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
    text = json.dumps(DASHBOARD["panels"])
    assert set(re.findall(r"\$\{?(\w+)\}?", text)) == set(declared)
    assert declared["datasource"]["query"] == "prometheus"
    asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", declared["database"]["query"]["query"])
    assert asked
    assert asked[2] in BY_NAME[asked[1]].labels


def test_there_is_a_row_for_each_theme_with_panels_under_it() -> None:
    assert [row["title"] for row in ROWS] == [
        "Freshness",
        "Findings",
        "Triggers",
        "Databases",
        "Round the triggers",
        "Notifications",
    ]
    kinds = [one["type"] for one in DASHBOARD["panels"]]
    assert ("row", "row") not in itertools.pairwise(kinds)
    assert kinds[0] == "row"
    assert kinds[-1] != "row"


def test_no_panel_covers_another() -> None:
    ids = [one["id"] for one in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for one in DASHBOARD["panels"]:
        place = one["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, one["title"]
        taken |= cells


def test_a_panel_says_what_it_shows() -> None:
    for one in PANELS:
        assert one["description"].endswith("."), one["title"]
        assert one["type"] in ("stat", "timeseries", "table")
