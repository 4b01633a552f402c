"""``check --record`` of a database with many tenants: what recording adds, and the memory it takes.

First with nothing to say, then with one cause in every tenant. What is recorded is measured once,
the first time, when there is most to write. Stock has nothing to compare with.
"""

from __future__ import annotations

from typing import Any

from benchmarks import Row
from benchmarks.project import project
from benchmarks.scale import BUILD, MODELS, SCHEMAS, TRIGGERS, TRIGGERS_EACH

CHECK = """
import json, resource, sys, time
from django.db import connection
from trigger_ops import api
from trigger_ops.inspection import Scope
from trigger_ops.models import DriftFinding
connection.ensure_connection()
started = time.perf_counter()
report = api.check(scope=Scope(glob="*"), record={record})
seconds = time.perf_counter() - started
assert (report.complete, len(report.targets), report.unrecorded) == (True, 1, ""), report.targets
assert sum(report.summary.values()) == {triggers}, report.summary
counts = list(DriftFinding.objects.filter(resolved=None).values_list("code", "count"))
expected = [("trigger_ops.C001", {damaged})] if {record} and {damaged} else []
assert [one for one in counts if one[0] == "trigger_ops.C001"] == expected or not {record}, counts
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, but bytes on macOS
print(json.dumps([seconds, peak / (2**20 if sys.platform == "darwin" else 2**10)]))
"""
# The same in the body of one trigger of each tenant.
DAMAGE = """
from django.db import connection
connection.cursor().execute('''
    UPDATE pg_proc SET prosrc = 'BEGIN RETURN OLD; END'
     WHERE proname = (SELECT min(proname) FROM pg_proc WHERE proname LIKE 'pgtrigger%')''')
"""
REPEATS = 2


def run() -> list[Row]:
    """Build the database, then check it in fresh processes (about two minutes)."""
    rows = []
    with project("recording", models=MODELS, triggers_each=TRIGGERS_EACH) as generated:
        generated.run(BUILD.format(schemas=SCHEMAS), ours=False)
        for damaged, words in ((0, "clean"), (SCHEMAS, f"one cause in {SCHEMAS:,} tenants")):
            if damaged:
                generated.run(DAMAGE, ours=False)
            for record in (False, True):
                script = CHECK.format(record=record, damaged=damaged, triggers=TRIGGERS)
                name = f"check{' --record' * record} --all-schemas, {words}"
                # Only the first that is recorded opens the finding.
                repeats = 1 if record else REPEATS
                rows.append(
                    _row(name, min(generated.run(script, ours=True) for _ in range(repeats)))
                )
    return rows


def _row(name: str, measured: list[Any]) -> Row:
    seconds, mebibytes = measured
    return Row(f"{name}, {mebibytes:.0f} MB at its peak", None, seconds)
