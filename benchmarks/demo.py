"""How long ``manage.py demo`` takes to a page that answers: on a new machine's first start, and later."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks import Row

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0
EMBEDDED = """
import sys
from pathlib import Path
from demo_site import embedded
embedded.ensure(Path(sys.argv[1]))
sys.argv = ["manage.py", "demo"]
from django.core.management import execute_from_command_line
from demo_site.database import create_missing
create_missing()
execute_from_command_line(sys.argv)
"""


def run() -> list[Row]:
    """Start the demo twice in a home of its own: without data, and with what the first start left."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        cold = seconds_to_a_page(home)
        warm = seconds_to_a_page(home)
        reset = [sys.executable, "-m", "demo_site.embedded", "reset", "--home", str(home)]
        subprocess.run(reset, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return [
        Row("manage.py demo to its first page, no data yet", None, cold),
        Row("manage.py demo to its first page, later", None, warm),
    ]


def seconds_to_a_page(home: Path) -> float:
    """Start the demo, wait until its front page answers, stop it; return the seconds between."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PORT": str(port), "DJANGO_SETTINGS_MODULE": "demo_site.settings"}
    environment.pop("DATABASE_URL", None)
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", EMBEDDED, str(home)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as demo:
        try:
            _wait_for(f"http://127.0.0.1:{port}/", until=started + PATIENCE)
            return time.perf_counter() - started
        finally:
            demo.send_signal(signal.SIGTERM)
            demo.wait(timeout=PATIENCE)


def _wait_for(url: str, *, until: float) -> None:
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            if time.perf_counter() > until:
                raise
            time.sleep(0.05)
