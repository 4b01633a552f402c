"""docs/metrics.md says what the vocabulary and the rules say, and its snippet works."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.metrics.reading import read
from tests.metrics.test_rules_and_dashboard import RULES
from tests.recipes import DOCS, Shop, shop
from trigger_ops.metrics import FINAL_STATES, METRICS

__all__ = ["shop"]

PAGE = (DOCS / "metrics.md").read_text()
FOLDER = "/var/lib/node_exporter"
(SNIPPET,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S)


def rows(heading: str) -> list[list[str]]:
    part = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in part.splitlines()
        if line.startswith("| `")
    ]
    assert cells
    return cells


def test_every_metric_is_described_and_no_other() -> None:
    assert rows("The metrics") == [
        [f"`{one.name}`", ", ".join(f"`{label}`" for label in one.labels), one.help]
        for one in METRICS
    ]


def test_every_state_is_named() -> None:
    listed = "`, `".join(one.value for one in FINAL_STATES[:-1])
    assert f"`{listed}` or `{FINAL_STATES[-1].value}`" in " ".join(PAGE.split())


def test_every_alert_is_described_and_no_other() -> None:
    assert [[name, severity] for name, _, severity in rows("Alerts")] == [
        [f"`{rule['alert']}`", rule["labels"]["severity"]] for rule in RULES
    ]


def test_the_scrape_config_is_yaml() -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)
    (job,) = yaml.safe_load(block)["scrape_configs"]
    assert job["metrics_path"] == "/trigger_ops/metrics"


@pytest.fixture
def snippet(shop: Shop, tmp_path: Path) -> str:
    text = SNIPPET.replace(FOLDER, str(tmp_path)).replace("/srv/shop", '"$PROJECT"')
    text = text.replace(".venv/bin/python", '"$PYTHON"')
    done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return text


def test_the_text_file_is_whole_whatever_the_check_found(
    snippet: str, shop: Shop, tmp_path: Path
) -> None:
    assert shop.run("sh", "-c", snippet).code == 0
    found = read((tmp_path / "triggers.prom").read_text())
    assert found["trigger_ops_findings_by_level"]["default", "CRITICAL"] == 0
    assert found["trigger_ops_last_complete_run_timestamp_seconds"]
    with shop.gutted(), shop.without_archive():
        assert shop.run("sh", "-c", snippet).code == 0
    found = read((tmp_path / "triggers.prom").read_text())
    assert found["trigger_ops_findings_by_level"]["default", "CRITICAL"] == 1
    assert found["trigger_ops_target_state"]["archive", "unreachable"] == 1
    assert found["trigger_ops_check_complete"] == {(): 0}
    assert not any(key[0] == "archive" for key in found["trigger_ops_triggers"])


@pytest.mark.parametrize(
    ("environment", "code"),
    [({"PYTHON": "/nowhere/python"}, 127), ({"DJANGO_SETTINGS_MODULE": "nowhere.settings"}, 1)],
)
def test_a_check_that_was_not_made_leaves_the_old_file(
    environment: dict[str, str], code: int, snippet: str, shop: Shop, tmp_path: Path
) -> None:
    (tmp_path / "triggers.prom").write_text("old")
    assert shop.run("sh", "-c", snippet, **environment).code == code
    assert (tmp_path / "triggers.prom").read_text() == "old"
