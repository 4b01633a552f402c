"""What every process of a project pays before it does anything: ``django.setup()``.

A generated project is started in fresh processes, once with stock pgtrigger and once with
``trigger_ops`` before it. No database is needed. The best of several starts counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import Row

ROOT = Path(__file__).parents[1]
TRIGGERS_PER_MODEL = 5
# Each trigger has a name of its own: one name on a thousand models would collide, because a
# trigger is told from its namesakes by five hexadecimal digits.
MODELS = """
import pgtrigger
from django.db import models

for number in range(0, {count}, {per_model}):
    triggers = [
        pgtrigger.Protect(name=f"protect_{{trigger}}", operation=pgtrigger.Delete)
        for trigger in range(number, number + {per_model})
    ]
    meta = type("Meta", (), {{"triggers": triggers}})
    fields = {{"amount": models.IntegerField(), "Meta": meta, "__module__": __name__}}
    type(f"Model{{number}}", (models.Model,), fields)
"""
START = """
import time
import django
from django.conf import settings
settings.configure(INSTALLED_APPS={installed!r}, DATABASES={{}})
started = time.perf_counter()
django.setup()
seconds = time.perf_counter() - started
from pgtrigger import registry
assert len(registry._registry) == {count}, len(registry._registry)
print(seconds)
"""
CONTRIB = ["django.contrib.contenttypes", "django.contrib.auth"]
STOCK = [*CONTRIB, "pgtrigger", "generated"]
OURS = [*CONTRIB, "trigger_ops", "pgtrigger", "generated"]


def setup_seconds(folder: Path, installed: list[str], count: int) -> float:
    """Start the project in ``folder`` in a new process; return the seconds it measured."""
    done = subprocess.run(
        [sys.executable, "-c", START.format(installed=installed, count=count)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
            # As on a real site: modules are compiled once, not at every start.
            "PYTHONDONTWRITEBYTECODE": "",
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)


def measure(count: int, *, repeats: int) -> Row:
    """Return the best of ``repeats`` starts of a project with ``count`` triggers, taken in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "generated").mkdir()
        (folder / "generated" / "__init__.py").touch()
        source = MODELS.format(count=count, per_model=TRIGGERS_PER_MODEL)
        (folder / "generated" / "models.py").write_text(source)
        pairs = [
            (setup_seconds(folder, STOCK, count), setup_seconds(folder, OURS, count))
            for _ in range(repeats)
        ]
    stock, ours = (min(seconds) for seconds in zip(*pairs, strict=True))
    return Row(f"django.setup() with {count:,} triggers", stock, ours)


def run() -> list[Row]:
    """Measure projects with 100, 1,000 and 2,000 triggers (about a minute)."""
    return [measure(count, repeats=3) for count in (100, 1_000, 2_000)]


def run_large() -> list[Row]:
    """Measure a project with 5,000 triggers, once (stock alone takes most of a minute)."""
    return [measure(5_000, repeats=1)]
