"""``ls`` and ``check`` of 1,000 triggers, 600 of them with a condition.

Each number is the best of several fresh processes, taken in turn, from an open connection to the
end of the command: Django's start is not in it. *Cold* means that no condition was remembered.
"""

from __future__ import annotations

from benchmarks import Row
from benchmarks.distance import a_millisecond_away
from benchmarks.project import Project, project

MODELS, TRIGGERS_EACH = 200, 5
TRIGGERS = MODELS * TRIGGERS_EACH
REPEATS = 3

LS = """
import contextlib, io, json, time
from django.core.management import call_command
from django.db import connection
connection.ensure_connection()
lines = io.StringIO()
started = time.perf_counter()
with contextlib.redirect_stdout(lines):
    call_command("pgtrigger", "ls")
seconds = time.perf_counter() - started
installed = [line for line in lines.getvalue().splitlines() if "INSTALLED" in line]
assert len(installed) == {triggers}, lines.getvalue()
print(json.dumps(seconds))
"""
CHECK = """
import json, time
from django.db import connection
from trigger_ops import api
connection.ensure_connection()
started = time.perf_counter()
report = api.check()
seconds = time.perf_counter() - started
assert (report.exit_code, report.summary) == (0, {{"INSTALLED": {triggers}}}), report.findings
print(json.dumps(seconds))
"""
REMEMBER = """
from trigger_ops import api
api.check(record=True)
"""
FORGET = """
from trigger_ops.models import CanonicalForm
CanonicalForm.objects.all().delete()
"""


def run() -> list[Row]:
    """Measure on loopback and over a network of one millisecond (about a minute)."""
    ls, check = (script.format(triggers=TRIGGERS) for script in (LS, CHECK))
    with project("benchmark", models=MODELS, triggers_each=TRIGGERS_EACH) as generated:
        with a_millisecond_away(generated) as (url, network):
            rows = [_ls(generated, network, ls, url)]
            rows.append(_cold_ls(generated, rows[0], ls, url))
        rows.append(_ls(generated, "loopback", ls, generated.url))
        warm = min(generated.run(check, ours=True) for _ in range(REPEATS))
        cold = min(_after_forgetting(generated, check) for _ in range(REPEATS))
    rows.append(Row(f"check of {TRIGGERS:,}, conditions remembered, loopback", None, warm))
    rows.append(Row(f"check of {TRIGGERS:,}, cold, loopback", None, cold))
    return rows


def _ls(generated: Project, network: str, script: str, url: str) -> Row:
    generated.run(REMEMBER, ours=True)
    pairs = [
        (generated.run(script, ours=False, url=url), generated.run(script, ours=True, url=url))
        for _ in range(REPEATS)
    ]
    stock, ours = (min(seconds) for seconds in zip(*pairs, strict=True))
    return Row(f"ls of {TRIGGERS:,}, conditions remembered, {network}", stock, ours)


def _cold_ls(generated: Project, warm: Row, script: str, url: str) -> Row:
    cold = min(_after_forgetting(generated, script, url) for _ in range(REPEATS))
    return Row(warm.name.replace("conditions remembered", "cold"), warm.stock_seconds, cold)


def _after_forgetting(generated: Project, script: str, url: str = "") -> float:
    generated.run(FORGET, ours=True)
    seconds: float = generated.run(script, ours=True, url=url)
    return seconds
