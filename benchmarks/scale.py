"""``--all-schemas`` of a database with many tenants: 20,000 triggers in 2,000 schemas.

Stock has nothing to compare with: it looks at one search_path at a time.
"""

from __future__ import annotations

from benchmarks import Row
from benchmarks.project import Project, project

MODELS, TRIGGERS_EACH, SCHEMAS = 5, 2, 2_000
TRIGGERS = MODELS * TRIGGERS_EACH * SCHEMAS

# Each tenant gets what stock installs, and its own record of applied migrations.
BUILD = """
from django.db import connection
from pgtrigger.registry import registered
triggers = registered()
tables = dict.fromkeys(model._meta.db_table for model, _ in triggers)
statements = ";".join([
    *(f"CREATE TABLE {{table}} (LIKE public.{{table}} INCLUDING ALL)" for table in tables),
    "CREATE TABLE django_migrations (LIKE public.django_migrations INCLUDING ALL)",
    "INSERT INTO django_migrations SELECT * FROM public.django_migrations",
    *(trigger.compile(model).install_sql for model, trigger in triggers),
])
with connection.cursor() as cursor:
    cursor.execute("SET synchronous_commit = off")
    for number in range(1, {schemas}):
        # One message is one transaction: its locks are gone before the next.
        path = f"CREATE SCHEMA tenant_{{number}}; SET LOCAL search_path = tenant_{{number}}, public;"
        cursor.execute(path + statements)
    cursor.execute("VACUUM ANALYZE")
"""

CHECK = """
import json, resource, sys, time
from django.db import connection
from trigger_ops import api
from trigger_ops.inspection import Scope
connection.ensure_connection()
started = time.perf_counter()
report = api.check(scope=Scope(glob="*"))
seconds = time.perf_counter() - started
assert (report.exit_code, report.summary) == (0, {{"INSTALLED": {triggers}}}), report.findings
assert report.targets[0].schemas == {schemas}, report.targets
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, but bytes on macOS
print(json.dumps([seconds, peak / (2**20 if sys.platform == "darwin" else 2**10)]))
"""
# All is there, and nothing is to be done.
PLAN = """
import json, resource, sys, time
from django.db import connection
from trigger_ops import api
from trigger_ops.inspection import Scope
from trigger_ops.planner import Request
from trigger_ops.states import Verb
connection.ensure_connection()
request = Request(verb=Verb.INSTALL, databases=("default",), scope=Scope(glob="*"))
started = time.perf_counter()
plan = api.plan(request)
seconds = time.perf_counter() - started
assert (len(plan.steps) >= {triggers}, plan.work) == (True, ()), (len(plan.steps), plan.work[:2])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([seconds, peak / (2**20 if sys.platform == "darwin" else 2**10)]))
"""
DROP_ONE = """
from django.db import connection
connection.cursor().execute('''
    DO $$
    BEGIN
        EXECUTE (SELECT format('DROP TRIGGER %I ON tenant_7.generated_order0', tgname) FROM pg_trigger
                  WHERE tgrelid = 'tenant_7.generated_order0'::regclass LIMIT 1);
    END $$''')
"""
INSTALL_ONE = """
import json, time
from django.db import connection
from trigger_ops import api
from trigger_ops.inspection import Scope
from trigger_ops.planner import Request
from trigger_ops.states import Result, Verb
connection.ensure_connection()
request = Request(
    verb=Verb.INSTALL, databases=("default",), selectors=("generated.Order0",),
    scope=Scope(path=("tenant_7", "public")),
)
started = time.perf_counter()
report = api.apply(api.plan(request), actor="os:benchmark")
seconds = time.perf_counter() - started
assert [one.result for one in report.changed] == [Result.CREATED], report
print(json.dumps(seconds))
"""
REPEATS = 2


def run() -> list[Row]:
    """Build the database, then work on it in fresh processes (about two minutes)."""
    check = CHECK.format(triggers=TRIGGERS, schemas=SCHEMAS)
    with project("benchmark", models=MODELS, triggers_each=TRIGGERS_EACH) as generated:
        generated.run(BUILD.format(schemas=SCHEMAS), ours=False)
        checked = min(generated.run(check, ours=True) for _ in range(REPEATS))
        plan = PLAN.format(triggers=TRIGGERS)
        planned = min(generated.run(plan, ours=True) for _ in range(REPEATS))
        one = min(_one(generated) for _ in range(REPEATS))
    there = f"{TRIGGERS:,} triggers in {SCHEMAS:,} schemas"
    return [
        _row(f"check --all-schemas, {there}", *checked),
        _row(f"plan --all-schemas, {there}", *planned),
        Row("install of one that is missing, in one of those schemas", None, one),
    ]


def _row(name: str, seconds: float, mebibytes: float) -> Row:
    return Row(f"{name}, {mebibytes:.0f} MB at its peak", None, seconds)


def _one(generated: Project) -> float:
    generated.run(DROP_ONE, ours=False)
    seconds: float = generated.run(INSTALL_ONE, ours=True)
    return seconds
