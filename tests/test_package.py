"""What a wheel brings along beside the code: the pages about findings, and all that these link to."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.site import ROOT
from trigger_ops.drift.ids import KINDS

PAGES = """
from django.conf import settings
settings.configure()
from trigger_ops import conf
from trigger_ops.drift.ids import KINDS
for code in KINDS:
    print(conf.runbook(f"trigger_ops.{code}"))
"""


def built(kind: str, folder: Path) -> Path:
    """Build a wheel or an sdist with what pyproject.toml names; return it."""
    if importlib.util.find_spec("hatchling") is None:
        sentence = "hatchling, which builds the package, is not installed."
        pytest.fail(sentence) if os.environ.get("TRIGGER_OPS_CI") == "1" else pytest.skip(sentence)
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (made,) = folder.iterdir()
    return made


def test_the_page_of_each_finding_is_on_the_disk_of_whoever_installs_the_wheel(
    tmp_path: Path,
) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(built("wheel", tmp_path / "made")) as wheel:
        wheel.extractall(site)
    done = subprocess.run(
        [sys.executable, "-P", "-c", PAGES],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = [Path(line) for line in done.stdout.splitlines()]
    folder = site / "trigger_ops" / "docs" / "findings"
    assert pages == [folder / f"{code}.md" for code in KINDS]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text == (ROOT / "docs" / "findings" / page.name).read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (page.parent / link).resolve().is_file(), (page.name, link)


def test_a_wheel_can_be_made_of_the_sdist(tmp_path: Path) -> None:
    with tarfile.open(built("sdist", tmp_path / "made")) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {f"docs/findings/{code}.md" for code in KINDS} <= names
    assert {"pyproject.toml", "README.md", "trigger_ops/conf.py"} <= names
