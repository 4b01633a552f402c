"""Lists of what was recorded: who may see them, what they show, and that they change nothing."""

from __future__ import annotations

import datetime as dt
import html
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path, reverse
from django.utils import timezone

from tests.damage import run
from tests.drift.making import make_finding
from tests.web.recorded import WRITES, address, entry, log_in, look, ran, read, see, words
from trigger_ops import api
from trigger_ops.models import (
    Allowance,
    Change,
    DriftFinding,
    DriftRun,
    FindingEvent,
    LedgerEntry,
)
from trigger_ops.states import Level
from trigger_ops.web import freshness
from trigger_ops.web.allowing import AllowanceAdmin
from trigger_ops.web.findings import DriftFindingAdmin
from trigger_ops.web.freshness import stale_banner
from trigger_ops.web.history import ChangeAdmin, LedgerEntryAdmin
from trigger_ops.web.runs import DriftRunAdmin

second = AdminSite("second")
second.register(LedgerEntry, LedgerEntryAdmin)
second.register(DriftRun, DriftRunAdmin)
second.register(DriftFinding, DriftFindingAdmin)
second.register(Allowance, AllowanceAdmin)
second.register(Change, ChangeAdmin)

urlpatterns = [path("second/", second.urls)]

pytestmark = pytest.mark.django_db(databases=["default", "archive"])

MODELS = ("ledgerentry", "driftrun", "driftfinding", "allowance", "change")
VIEWS = tuple(f"view_{model}" for model in MODELS)
INVOICE = "past.Invoice:protect_deletes"
REASON = "INC-12: known, and mended on Monday"
HOSTILE = "<script>alert(1)</script>\x1b[2J\u202eevil"


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    freshness.forget()
    yield
    freshness.forget()


def finding(**changes: Any) -> DriftFinding:
    """Put a finding on record, and return it."""
    look(make_finding(**changes))
    return DriftFinding.objects.latest("pk")


def allowance(number: int | None = None) -> Allowance:
    """Put an allowance of a finding on record."""
    number = number or finding().pk
    made = api.allow(str(number), owner="bob", reason=REASON, lasts=dt.timedelta(days=1))
    return Allowance.objects.get(pk=made.id)


def change(**fields: Any) -> Change:
    """Put a row that was written past triggers on record."""
    given = {"transaction": 7, "schema": "public", "table": "past_invoice", "op": "UPDATE"}
    return Change.objects.create(**{**given, "cause": "ignore", **fields})


ONE: dict[str, Callable[[], Any]] = {
    "ledgerentry": lambda: entry(uri=INVOICE),
    "driftrun": lambda: ran(timezone.now()),
    "driftfinding": finding,
    "allowance": allowance,
    "change": lambda: change(old={"id": 1}, new={"id": 2}),
}
"""How there comes to be one row of each."""


# Who may see them --------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_list_and_its_rows_are_for_those_who_may_see_them(model: str) -> None:
    row = ONE[model]()
    pages = [address(f"{model}_changelist"), address(f"{model}_change", object_id=row.pk)]
    others = [one for one in VIEWS if one != f"view_{model}"]
    stranger, friend = log_in(*others, name="eve"), log_in(f"view_{model}")
    for page in pages:
        assert Client().get(page).status_code == 302
        assert f"trigger_ops.view_{model}" in read(stranger, page, status=403)
        read(friend, page)


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_added_changed_or_deleted(model: str) -> None:
    row = ONE[model]()
    client = log_in(*VIEWS)
    page = address(f"{model}_change", object_id=row.pk)
    before = type(row).objects.values().get(pk=row.pk)
    assert client.post(page, {"reason": "else"}).status_code == 405
    for gone in ("delete", "history"):
        assert (
            client.post(page.replace("/change/", f"/{gone}/"), {"post": "yes"}).status_code == 404
        )
    chosen = {"action": "delete_selected", "index": 0, "_selected_action": row.pk, "post": "yes"}
    client.post(address(f"{model}_changelist"), chosen)
    assert type(row).objects.values().get(pk=row.pk) == before
    markup = see(client, page)
    assert 'name="_save"' not in markup
    assert not re.search(r"deletelink|historylink", markup)
    assert "addlink" not in see(client, address(f"{model}_changelist")).partition("<main")[2]


@pytest.mark.parametrize("model", MODELS)
def test_looking_writes_nothing(model: str) -> None:
    row = ONE[model]()
    client = log_in(*VIEWS, "review_session")
    for page in (address(f"{model}_changelist"), address(f"{model}_change", object_id=row.pk)):
        with CaptureQueriesContext(connection) as queries:
            read(client, page)
        assert [one["sql"] for one in queries if WRITES.match(one["sql"])] == []


# What they show ----------------------------------------------------------------------------------

SEVERAL: dict[str, Callable[[int], Any]] = {
    "ledgerentry": lambda number: entry(uri=f"a.B:c{number}", actor=f"user:{number}"),
    "driftrun": lambda number: ran(
        timezone.now() - dt.timedelta(hours=number + 1), levels={"default": {}, "archive": {}}
    ),
    "driftfinding": lambda number: finding(trigger=f"pgtrigger_{number}", uri=f"a.B:c{number}"),
    "allowance": lambda number: allowance(finding(trigger=f"pgtrigger_{number}").pk),
    "change": lambda number: change(table=f"t{number}"),
}


@pytest.mark.parametrize("model", MODELS)
def test_a_long_list_takes_as_many_queries_as_a_short_one(model: str) -> None:
    client = log_in(*VIEWS)
    taken = []
    for number in (*range(2), *range(2, 12)):
        SEVERAL[model](number)
        if number in (1, 11):
            see(client, address(f"{model}_changelist"))  # Django keeps content types
            freshness.forget()
            with CaptureQueriesContext(connection) as queries:
                markup = see(client, address(f"{model}_changelist"))
            assert markup.count("action-select") + markup.count('<th class="field-') >= number + 1
            taken.append(len(queries))
    assert taken[0] == taken[1]


def test_a_row_with_much_to_tell_takes_as_many_queries_as_one_with_little() -> None:
    client = log_in(*VIEWS, "view_trigger")
    taken = []
    for number in (1, 20):
        run_ = ran(timezone.now(), levels={f"db{one}": {} for one in range(number)})
        found = [finding(trigger=f"pgtrigger_{number}_{one}") for one in range(number)]
        FindingEvent.objects.filter(finding__in=found).update(run=run_.id)
        read(client, address("driftrun_change", object_id=run_.pk))  # Django keeps content types
        with CaptureQueriesContext(connection) as queries:
            told = read(client, address("driftrun_change", object_id=run_.pk))
        assert told.count("opened") >= number
        taken.append(len(queries))
    assert taken[0] == taken[1]


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("ledgerentry", "install"),
        ("driftrun", "complete"),
        (
            "driftfinding",
            "▲ open The function's body is not what the code says. past.Invoice:protect_deletes",
        ),
        ("allowance", "✔ live past.Invoice:protect_deletes default bob"),
        ("change", "UPDATE public past_invoice ignore"),
    ],
)
def test_a_list_says_what_there_is(model: str, shown: str) -> None:
    ONE[model]()
    assert shown in read(log_in(*VIEWS), address(f"{model}_changelist"))


@pytest.mark.parametrize("model", MODELS)
def test_an_empty_list_says_so_in_a_sentence(model: str) -> None:
    sentence = {
        "ledgerentry": "Nothing was done to triggers",
        "driftrun": "manage.py pgtrigger check --record",
        "driftfinding": "No recorded check has found anything.",
        "allowance": "Nobody answers for a finding.",
        "change": "No row was written while a trigger stood aside.",
    }[model]
    assert sentence in read(log_in(*VIEWS), address(f"{model}_changelist"))


@pytest.mark.parametrize("model", MODELS)
def test_what_the_database_holds_is_text(model: str) -> None:
    made: dict[str, Callable[[], Any]] = {
        "ledgerentry": lambda: entry(uri=HOSTILE, reason=HOSTILE, sql=HOSTILE, actor=HOSTILE),
        "driftrun": lambda: ran(timezone.now(), levels={HOSTILE: {}}, states={HOSTILE: "lost"}),
        "driftfinding": lambda: finding(message=HOSTILE, uri=HOSTILE, fix=HOSTILE),
        "allowance": lambda: allowance(finding(uri=HOSTILE, message=HOSTILE).pk),
        "change": lambda: change(table=HOSTILE, old={HOSTILE: HOSTILE}, new={HOSTILE: 1}),
    }
    row = made[model]()
    client = log_in(*VIEWS)
    for page in (address(f"{model}_changelist"), address(f"{model}_change", object_id=row.pk)):
        markup = see(client, page)
        assert "<script>alert" not in markup
        assert "\x1b" not in markup
        assert "\u202e" not in markup
        assert "<script>alert(1)</script>\\x1b[2J\\u202eevil" in html.unescape(markup)


def test_rows_are_old_and_new_as_they_were_recorded() -> None:
    row = change(
        old={"id": 1, "name": "a", "password": "***", "note": None},
        new={"id": 1, "name": "b", "password": "***", "note": ""},
    )
    told = read(log_in("view_change"), address("change_change", object_id=row.pk))
    assert "id 1 1 = same" in told
    assert "name a b ▲ changed" in told
    assert "note null (empty) ▲ changed" in told
    assert "password *** *** = same" in told


@pytest.mark.parametrize(
    ("old", "new", "word"), [(None, {"id": 1}, "added"), ({"id": 1}, None, "deleted")]
)
def test_a_row_that_was_added_or_deleted_has_one_side(
    old: dict[str, int] | None, new: dict[str, int] | None, word: str
) -> None:
    row = change(old=old, new=new)
    assert word in read(log_in("view_change"), address("change_change", object_id=row.pk))


def test_a_ledger_entry_has_its_sql_and_what_it_changed() -> None:
    row = entry(
        sql="CREATE\nTRIGGER x", undo="DROP", before={"enabled": "O"}, after={"enabled": "D"}
    )
    markup = see(log_in("view_ledgerentry"), address("ledgerentry_change", object_id=row.pk))
    assert '<pre tabindex="0"><code>CREATE\nTRIGGER x</code></pre>' in markup
    assert "enabled O D" in words(markup)


def test_times_say_their_zone() -> None:
    row = entry()
    with timezone.override("Asia/Tokyo"):
        client = log_in("view_ledgerentry")
        markup = see(client, address("ledgerentry_changelist"))
    row.refresh_from_db()
    local = row.at.astimezone(timezone.get_fixed_timezone(540))
    assert local.isoformat() in markup
    assert "JST" in words(markup)


def test_levels_sort_by_how_bad_they_are() -> None:
    for level in (Level.INFO, Level.CRITICAL, Level.WARNING, Level.ERROR):
        finding(level=level, trigger=f"pgtrigger_{level.name}")
    client = log_in("view_driftfinding")
    column = address("driftfinding_changelist")
    found = re.findall(
        r"</span> ([A-Z]+)</span>", see(client, column, o="-1").partition("<tbody")[2]
    )
    assert found[:4] == ["CRITICAL", "ERROR", "WARNING", "INFO"]


# Filters and searching ---------------------------------------------------------------------------


def filters(markup: str, title: str) -> list[str]:
    """Return what a filter offers."""
    found = re.search(rf'<details data-filter-title="{title}".*?</details>', markup, re.S)
    return re.findall(r"<a href[^>]*>\s*([^<]*?)\s*</a>", found[0]) if found else []


def test_filters_offer_nothing_but_what_occurs() -> None:
    entry(verb="install", actor="user:ann", outcome="created")
    entry(verb="disable", actor="user:bob")
    markup = see(log_in("view_ledgerentry"), address("ledgerentry_changelist"))
    assert filters(markup, "verb") == ["All", "disable", "install"]
    assert filters(markup, "actor") == ["All", "user:ann", "user:bob"]
    assert filters(markup, "outcome") == ["All", "created"]
    assert filters(markup, "schema") == ["All"] or not filters(markup, "schema")


def test_conditions_that_hold_for_no_row_are_not_offered() -> None:
    finding()
    client = log_in("view_driftfinding")
    assert filters(see(client, address("driftfinding_changelist")), "standing") == ["All", "open"]
    look()
    markup = see(client, address("driftfinding_changelist"))
    assert filters(markup, "standing") == ["All", "resolved"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, 3),
        ({"verb": "install"}, 2),
        ({"verb": "nothing"}, 0),
        ({"verb": "a\0b"}, 0),
        ({"verb": "install", "actor": "user:bob"}, 1),
        ({"q": "user:bob"}, 1),
        ({"q": "past.Invoice"}, 1),
        ({"q": "\" % _ \\ '"}, 0),
        ({"q": "%"}, 0),
        ({"at__year": "1999"}, 0),
        ({"p": "1"}, 3),
        ({"o": "1.-2.99.x"}, 3),
        ({"_facets": "True"}, 3),
        ({"all": ""}, 3),
    ],
)
def test_what_is_asked_for_is_shown(query: dict[str, str], found: int) -> None:
    entry(verb="install", actor="user:ann", uri=INVOICE)
    entry(verb="install", actor="user:bob")
    entry(verb="disable", actor="user:ann")
    markup = see(log_in("view_ledgerentry"), address("ledgerentry_changelist"), **query)
    assert markup.count('<th class="field-') == found


@pytest.mark.parametrize("query", ["p=99", "p=x", "at__year=x", "nonsense=1", "q=%00", "e=1"])
def test_nonsense_in_the_address_is_no_error_page(query: str) -> None:
    entry()
    client = log_in(*VIEWS)
    response = client.get(f"{address('ledgerentry_changelist')}?{query}", follow=True)
    assert response.status_code == 200


@pytest.mark.parametrize("number", ["0", "99999999999999999999999", "x", "a/b", "%00"])
@pytest.mark.parametrize("model", MODELS)
def test_a_row_that_is_not_there_is_said_to_be_gone(model: str, number: str) -> None:
    page = address(f"{model}_change", object_id="X").replace("/X/", f"/{number}/")
    response = log_in(*VIEWS).get(page, follow=True)
    assert response.status_code == 200
    assert "exist" in response.content.decode()


def test_a_run_leads_to_the_findings_it_changed() -> None:
    first, other = finding(), finding(trigger="pgtrigger_other", uri="past.Other:x")
    assert first.key != other.key
    run_ = FindingEvent.objects.get(finding=other, kind="opened").run
    client = log_in(*VIEWS)
    markup = see(client, address("driftrun_change", object_id=run_))
    (link,) = set(re.findall(r'href="([^"]*driftfinding/\?run=[^"]*)"', markup))
    told = read(client, link)
    assert "past.Other:x" in told
    assert f"{other.pk}" in see(client, link)
    for nonsense in ("x", str(uuid.uuid4()), "a\0b"):
        assert "0 findings" in read(client, address("driftfinding_changelist"), run=nonsense)


def test_a_finding_leads_to_its_trigger_its_page_its_runs_and_its_allowances(
    settings: Any,
) -> None:
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "RUNBOOK": "https://example.org/{code}"}
    row = allowance()
    found = DriftFinding.objects.get()
    client = log_in(*VIEWS, "view_trigger", "review_session")
    markup = html.unescape(see(client, address("driftfinding_change", object_id=found.pk)))
    trigger = reverse("admin:trigger_ops_trigger_detail", kwargs={"uri": INVOICE})
    assert f'href="{trigger}?database=default&schema=public"' in markup
    assert 'href="https://example.org/C001"' in markup
    assert address("driftrun_change", object_id=found.events.get().run) in markup
    assert address("allowance_change", object_id=row.pk) in markup
    assert f"{address('allowance_add')}?finding={found.pk}" in markup
    back = see(client, address("allowance_change", object_id=row.pk))
    assert address("driftfinding_change", object_id=found.pk) in back


def test_links_are_for_those_who_may_follow_them() -> None:
    allowance()
    found = DriftFinding.objects.get()
    markup = see(log_in("view_driftfinding"), address("driftfinding_change", object_id=found.pk))
    main = markup.partition("<main")[2]
    for part in ("/trigger/at/", "/driftrun/", "/allowance/"):
        assert part not in main


@pytest.mark.parametrize(
    ("runbook", "linked"),
    [
        ("/help/{code}", True),
        ("docs/findings/{code}.md", False),
        ("javascript:alert(1)", False),
    ],
)
def test_a_path_in_a_checkout_is_no_link(settings: Any, runbook: str, linked: bool) -> None:
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "RUNBOOK": runbook}
    page = address("driftfinding_change", object_id=finding().pk)
    target = runbook.replace("{code}", "C001")
    markup = see(log_in("view_driftfinding"), page)
    assert (f'href="{target}"' in markup) is linked
    assert target in markup


def test_without_a_runbook_of_ones_own_the_page_that_is_shipped_is_linked() -> None:
    client = log_in("view_driftfinding", "view_allowance")
    linked = f'<a href="{address("runbook", code="C001")}">C001</a>'
    found, row = finding(), allowance()
    for page in (
        address("driftfinding_change", object_id=found.pk),
        address("allowance_change", object_id=row.pk),
    ):
        assert linked in see(client, page)


def test_the_page_that_is_shipped_is_no_secret_among_staff() -> None:
    client, page = log_in(), address("runbook", code="C001")
    told = read(client, page)
    assert "trigger_ops.C001 · CRITICAL · function body changed" in told
    assert "CREATE OR REPLACE FUNCTION pgtrigger_protect_deletes_4ee25()" in told
    assert client.get(address("runbook", code="C999")).status_code == 404
    assert Client().get(page).status_code == 302


# Databases ---------------------------------------------------------------------------------------


def test_each_database_has_a_ledger_of_its_own() -> None:
    entry(uri="near.A:b")
    there = entry("archive", uri="far.A:b")
    client = log_in("view_ledgerentry")
    page = address("ledgerentry_changelist")
    first = see(client, page)
    assert "near.A:b" in words(first)
    assert "far.A:b" not in words(first)
    assert filters(first, "database") == ["default", "archive"]
    other = see(client, page, using="archive")
    assert "far.A:b" in words(other)
    assert "near.A:b" not in words(other)
    assert "Read from the database “archive”." in words(other)
    (link,) = re.findall(r'<th class="field-[^>]*><a href="([^"]+)"', other)
    assert "far.A:b" in read(client, html.unescape(link))
    assert there.pk


def test_a_database_that_does_not_exist_is_named_with_the_nearest() -> None:
    told = read(log_in(*VIEWS), address("change_changelist"), status=404, using="archiv")
    assert 'did you mean "archive"?' in told
    read(log_in(*VIEWS, name="bob"), address("change_changelist"), status=404, using="lite")


TABLES = {
    "ledgerentry": "trigger_ops_ledgerentry",
    "driftrun": "trigger_ops_drifttarget",
    "driftfinding": "trigger_ops_driftfinding",
    "allowance": "trigger_ops_allowance",
    "change": "trigger_ops_change",
}


@pytest.mark.parametrize("model", MODELS)
def test_tables_that_are_not_there_are_a_sentence(model: str) -> None:
    client = log_in(*VIEWS, "review_session")
    run(f"DROP TABLE {TABLES[model]} CASCADE")
    pages = [address(f"{model}_changelist"), address(f"{model}_change", object_id=1)]
    for page in pages:
        assert "manage.py migrate" in read(client, page, status=503)


def test_records_elsewhere_are_read_there(settings: Any) -> None:
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "RECORD_DATABASE": "archive"}
    kept = DriftRun.objects.using("archive").create(source="there", holder="os:there@host")
    client = log_in(*VIEWS)
    assert "os:there@host" in read(client, address("driftrun_changelist"))
    assert "os:there@host" in read(client, address("driftrun_change", object_id=kept.pk))
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "RECORD_DATABASE": "lite"}
    assert "not PostgreSQL" in read(client, address("driftrun_changelist"), status=400)


@pytest.mark.urls("tests.web.test_history")
@pytest.mark.parametrize("model", MODELS)
def test_a_second_site_has_pages_of_its_own(model: str) -> None:
    row = ONE[model]()
    client = log_in(*VIEWS, "view_trigger", "review_session")
    for page in (f"/second/trigger_ops/{model}/", f"/second/trigger_ops/{model}/{row.pk}/change/"):
        markup = see(client, page)
        assert not re.search(r'(href|action)="/admin/', markup)


@pytest.mark.urls("tests.web.test_history")
@pytest.mark.parametrize("place", ["driftrun/history", "driftfinding/told", "allowance/add"])
def test_a_second_site_has_the_other_pages_too(place: str) -> None:
    finding()
    ran(timezone.now())
    client = log_in(*VIEWS, "review_session")
    markup = see(client, f"/second/trigger_ops/{place}/")
    assert not re.search(r'(href|action)="/admin/', markup)
    assert "/second/trigger_ops/" in markup


# Freshness ---------------------------------------------------------------------------------------

HOUR = dt.timedelta(hours=1)
BOTH: dict[str, dict[str, int]] = {"default": {}, "archive": {}}


@pytest.mark.parametrize(
    ("hours", "options", "sentence"),
    [
        ([], {}, "No complete check was ever recorded"),
        ([1], {}, ""),
        ([25], {}, "older than it should be"),
        ([2, 3, 4], {}, ""),
        ([4, 5, 6], {}, "older than it should be"),
        ([1], {"states": {"archive": "unreachable"}}, '"archive" was never checked in full'),
        ([1], {"whole": False}, "No complete check was ever recorded"),
        ([-1], {}, "No complete check was ever recorded"),
    ],
)
def test_the_banner_says_when_findings_are_old(
    hours: list[float], options: dict[str, Any], sentence: str
) -> None:
    for one in hours:
        ran(timezone.now() - one * HOUR, levels=BOTH, **options)
    found = stale_banner()
    assert sentence in (found.told if found else "")
    assert (found is not None) is bool(sentence)
    client = log_in(*VIEWS)
    for page in ("driftrun_changelist", "driftfinding_changelist", "allowance_changelist"):
        told = read(client, address(page))
        assert ("manage.py pgtrigger check --record" in told.split(" result")[0]) or not sentence
        assert sentence in told
        assert ("older than it should be" in told) is ("older" in sentence)


def test_that_all_is_well_is_not_asked_again_and_trouble_is() -> None:
    assert stale_banner() is not None
    ran(timezone.now(), levels=BOTH)
    assert stale_banner() is None
    with CaptureQueriesContext(connection) as queries:
        assert stale_banner() is None
    assert len(queries) == 0


def test_without_tables_the_banner_says_what_to_do() -> None:
    run("DROP TABLE trigger_ops_driftrun CASCADE")
    found = stale_banner()
    assert found is not None
    assert "manage.py migrate" in found.told


def test_no_page_has_inline_script_or_style() -> None:
    client = log_in(*VIEWS, "review_session")
    for model in MODELS:
        row = ONE[model]()
        for page in (address(f"{model}_changelist"), address(f"{model}_change", object_id=row.pk)):
            markup = see(client, page)
            assert not re.search(r"<style|\sstyle=|\son\w+=", markup)
            assert not re.search(r"<script(?![^>]*\bsrc=)", markup)
