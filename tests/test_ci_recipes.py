"""The pipeline of docs/continuous-integration, run on a clean site and on a damaged one."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.recipes import DOCS, Done, Shop, shop

__all__ = ["shop"]

FOLDER = DOCS / "continuous-integration"
SCRIPT = FOLDER / "check.sh"
WORKFLOW: dict[Any, Any] = yaml.safe_load((FOLDER / "triggers.yml").read_text())
(JOB,) = WORKFLOW["jobs"].values()
STEPS = [one for one in JOB["steps"] if "run" in one]


def check(shop: Shop, **environment: str) -> Done:
    return shop.run("sh", SCRIPT, **{"GITHUB_ACTIONS": "", "PYTHON": "python", **environment})


def step(named: str) -> dict[str, Any]:
    (found,) = [one for one in STEPS if one.get("name") == named]
    return dict(found)


# The script ---------------------------------------------------------------------------------------


def test_a_clean_database_passes(shop: Shop) -> None:
    done = check(shop)
    assert done.code == 0, done
    assert "No changes detected" in done.out


def test_a_finding_stops_it(shop: Shop) -> None:
    with shop.gutted():
        done = check(shop)
        annotated = check(shop, GITHUB_ACTIONS="true")
    assert (done.code, annotated.code) == (1, 1)
    assert "CRITICAL trigger_ops.C001 past.Invoice:protect_deletes" in done.out
    assert "::error title=trigger_ops.C001 " in annotated.out
    assert "::error" not in done.out


def test_what_could_not_be_read_stops_it(shop: Shop) -> None:
    with shop.without_archive():
        done = check(shop)
    assert done.code == 3
    assert "archive" in done.out + done.err


def test_a_migration_that_was_not_applied_stops_it_before(shop: Shop) -> None:
    rows = shop.execute(
        "DELETE FROM django_migrations WHERE app = 'trigger_ops' AND name = (SELECT max(name) "
        "FROM django_migrations WHERE app = 'trigger_ops') RETURNING app, name, applied"
    )
    try:
        done = check(shop)
    finally:
        for row in rows:
            shop.execute(
                "INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, %s)", *row
            )
    assert len(rows) == 1
    assert done.code == 1
    assert "No changes detected" not in done.out
    assert "pgtrigger" not in done.err


def test_a_database_that_is_down_stops_it(shop: Shop) -> None:
    assert check(shop, **shop.nobody).code not in (0, 2)


def test_the_script_is_what_can_be_copied() -> None:
    text = SCRIPT.read_text()
    commands = re.findall(r'^"\$PYTHON" (.+)$', text, re.M)
    assert commands == [
        "manage.py migrate --check",
        "manage.py makemigrations --check --dry-run",
        'manage.py pgtrigger check --format "$format"',
    ]
    for shell in filter(None, map(shutil.which, ("sh", "bash"))):
        done = subprocess.run([shell, "-n", SCRIPT], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    page = (DOCS / "continuous-integration.md").read_text()
    assert f"```sh\n{text}```\n" in page
    assert f"```yaml\n{(FOLDER / 'triggers.yml').read_text()}```\n" in page


# The workflow -------------------------------------------------------------------------------------


def test_the_workflow_may_only_read_and_ends() -> None:
    # YAML 1.1 reads the key "on" as true.
    assert set(WORKFLOW) == {"name", True, "permissions", "jobs"}
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert JOB["timeout-minutes"] <= 30


def test_every_step_is_a_shell_script_or_a_pinned_action() -> None:
    for one in JOB["steps"]:
        assert ("run" in one) != ("uses" in one)
        if "uses" in one:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", one["uses"])
            continue
        bash = shutil.which("bash") or "sh"
        done = subprocess.run([bash, "-n", "-c", one["run"]], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")


def test_the_check_comes_after_migrate_and_the_artifact_comes_whatever_it_says() -> None:
    runs = [one["run"] for one in STEPS]
    assert runs.index("python manage.py migrate") < runs.index("sh ci/check.sh")
    names = [one.get("name") for one in JOB["steps"]]
    after = JOB["steps"][names.index("Compare database, migrations and code") + 1 :]
    assert [one["if"] for one in after] == ["${{ !cancelled() }}"] * 2
    assert after[1]["with"]["path"] in after[0]["run"]


@pytest.mark.parametrize("damaged", [False, True])
def test_the_artifact_is_junit(damaged: bool, shop: Shop, tmp_path: Any) -> None:
    command = step("Write the same as JUnit")["run"].replace("> ", f"> {tmp_path}/")
    if damaged:
        with shop.gutted():
            done = shop.run("bash", "-e", "-c", command)
    else:
        done = shop.run("bash", "-e", "-c", command)
    assert done.code == 0
    root = ET.parse(tmp_path / "triggers.xml").getroot()
    assert root.get("failures") == str(int(damaged))
