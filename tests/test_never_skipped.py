from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_acceptance import ACCEPTANCE

ROOT = Path(__file__).resolve().parents[1]

TESTS = """
import pytest

def test_runs(): pass
def test_lacks_a_program(): pytest.skip("there is no pgbouncer")
def test_gives_up(): pytest.xfail("not today")
@pytest.fixture
def tool(): pytest.skip("there is no pg_dump")
def test_wants_a_tool(tool): pass
@pytest.mark.skipif(True, reason="for another driver")
def test_for_another_driver(): pass
@pytest.mark.skipif(True, reason="for another driver")
@pytest.mark.parametrize("one", [1])
def {shown}(one): pass
"""
FILE = 'import pytest\npytest.skip("not here", allow_module_level=True)\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with tests, of which one is called like one that the guide names."""
    reference = ACCEPTANCE[1].tests[0]
    place, _, shown = reference.partition("::")
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_text(TESTS.format(shown=shown))
    (tmp_path / "tests" / "test_file.py").write_text(FILE)
    return tmp_path


def run(folder: Path, ci: str) -> tuple[int, dict[str, int]]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-c",
            os.devnull,
            "--rootdir",
            folder,
            "tests",
            "-p",
            "tests.never_skipped",
            "-p",
            "no:django",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
        ],
        cwd=folder,
        env={**os.environ, "TRIGGER_OPS_CI": ci, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    counts = re.findall(r"(\d+) (\w+)", done.stdout.splitlines()[-1])
    return done.returncode, {word.rstrip("s"): int(number) for number, word in counts}


def test_where_a_program_is_missing_a_test_is_skipped(folder: Path) -> None:
    code, counts = run(folder, "")
    assert (code, counts) == (0, {"passed": 1, "skipped": 5, "xfailed": 1})


def test_in_ci_it_fails_and_so_does_a_file(folder: Path) -> None:
    code, counts = run(folder, "1")
    assert code != 0
    assert counts == {"error": 1}  # the file, before any test
    (folder / "tests" / "test_file.py").unlink()
    code, counts = run(folder, "1")
    assert code == 1
    assert counts == {"passed": 1, "failed": 2, "error": 2, "skipped": 1}
