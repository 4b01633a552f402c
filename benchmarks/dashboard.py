"""The admin's pages of triggers, in a project of 1,000: the list, a search in it, and one of them.

Each number is the best of several requests of Django's test client, in one process and without a
network, so that it is the server's share. *First* is the first request of a process, *afresh* one
that inspects the database, *seen* one within the five seconds for which a process shows what it has
seen. Nothing of this exists in stock pgtrigger.
"""

from __future__ import annotations

from benchmarks import Row
from benchmarks.project import project

MODELS, TRIGGERS_EACH = 200, 5
TRIGGERS = MODELS * TRIGGERS_EACH
REPEATS = 5

PAGES = """
import json, time
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from trigger_ops.web import evidence
call_command("migrate", verbosity=0)
user, _ = User.objects.get_or_create(username="ann", is_staff=True, is_superuser=True)
client = Client()
client.force_login(user)
LIST = reverse("admin:trigger_ops_trigger_changelist")
ADDRESSES = {{
    "list": LIST,
    "search": LIST + "?q=state%3Ainstalled+kind%3Aprotect&sort=table",
    "one": reverse("admin:trigger_ops_trigger_detail", args=["generated.Order7:number_7"]) + "?database=default&schema=public",
}}

def seconds(address, *, afresh):
    if afresh:
        evidence.forget()
    started = time.perf_counter()
    answer = client.get(address)
    took = time.perf_counter() - started
    assert answer.status_code == 200, answer.content[:2000]
    return took

connection.ensure_connection()
found = {{"list first": seconds(LIST, afresh=True)}}
assert "{triggers} triggers" in client.get(LIST).content.decode()
for name, address in ADDRESSES.items():
    for how in ("afresh", "seen"):
        seconds(address, afresh=False)
        found[f"{{name}} {{how}}"] = min(seconds(address, afresh=how == "afresh") for _ in range({repeats}))
print(json.dumps(found))
"""


def run() -> list[Row]:
    """Measure in a database of its own (about half a minute)."""
    script = PAGES.format(triggers=TRIGGERS, repeats=REPEATS)
    with project("benchmark", models=MODELS, triggers_each=TRIGGERS_EACH) as generated:
        generated.run("from trigger_ops import api\napi.check(record=True)\n", ours=True)
        found = generated.run(script, ours=True, admin=True)
    names = {"list": f"list of {TRIGGERS:,}", "search": "search in it", "one": "one of them"}
    rows = [Row(f"{names['list']}, first request of a process", None, found["list first"])]
    for page, name in names.items():
        rows += [Row(f"{name}, {how}", None, found[f"{page} {how}"]) for how in ("afresh", "seen")]
    return rows
