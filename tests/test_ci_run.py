"""What ``.ci/run`` makes of the broker that it is given, with a ``make`` that only notes what it is asked."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.site import ROOT

MAKE = '#!/bin/sh\necho "make $* broker=${CELERY_BROKER_URL:-none}"\n'
Done = subprocess.CompletedProcess[str]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Done]:
    """Run the script in a copy of its own, where nothing is installed and no test runs."""
    script = tmp_path / ".ci" / "run"
    script.parent.mkdir()
    shutil.copy(ROOT / ".ci" / "run", script)
    for name, text in {
        "bin/make": MAKE,
        # What would be installed otherwise.
        **{f"bin/{tool}": "#!/bin/sh\n" for tool in ("pgbouncer", "xgettext", "apt-get")},
        ".venv/bin/python": f'#!/bin/sh\nexec "{sys.executable}" "$@"\n',
        ".venv-psycopg/bin/python": '#!/bin/sh\n[ "$1" = -m ]\n',
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def start(**environment: str) -> Done:
        inherited = {
            name: value for name, value in os.environ.items() if not name.endswith("BROKER_URL")
        }
        return subprocess.run(
            [script],
            env={**inherited, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return start


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a broker that refuses every connection."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        yield f"redis://:geheim@127.0.0.1:{one.getsockname()[1]}/0"


# A broker that needs no server.
HERE = "memory://"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ({"CELERY_BROKER_URL": HERE}, HERE),
        ({"CI_BROKER_URL": HERE}, HERE),
        ({"CI_BROKER_URL": HERE, "CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}, HERE),
    ],
)
def test_the_broker_that_is_named_is_used(
    given: dict[str, str], used: str, run: Callable[..., Done]
) -> None:
    done = run(**given)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["make lint broker=none", f"make test broker={used}"]
    # The second leg takes its messages from files.
    assert lines[-1].endswith("broker=none")


@pytest.mark.parametrize("name", ["CI_BROKER_URL", "CELERY_BROKER_URL"])
def test_a_broker_that_is_named_and_does_not_answer_is_a_failure(
    name: str, nobody: str, run: Callable[..., Done]
) -> None:
    done = run(**{name: nobody})
    assert done.returncode != 0
    assert "make test" not in done.stdout
    assert "The broker does not answer" in done.stderr
    assert "geheim" not in done.stdout + done.stderr
