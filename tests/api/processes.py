"""Other processes that check the same databases."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from django.db import connections

ROOT = Path(__file__).resolve().parents[2]

_SETUP = """
import datetime as dt, json, os, sys, time, uuid
import django
from demo_site import database
database.choose_driver()
django.setup()
from trigger_ops import api
"""


def start(script: str) -> subprocess.Popen[str]:
    """Start a process with `default` where it is here; it runs a script after ``django.setup()``."""
    given = connections["default"].settings_dict
    user, password = quote(given["USER"], safe=""), quote(given["PASSWORD"] or "", safe="")
    url = f"postgresql://{user}:{password}@{given['HOST']}:{given['PORT']}/{given['NAME']}"
    return subprocess.Popen(
        [sys.executable, "-c", _SETUP + script],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line_of(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str], text: str) -> None:
    """Write a line that a process reads."""
    assert process.stdin is not None
    process.stdin.write(f"{text}\n")
    process.stdin.flush()
