"""The list of triggers: verdict, order, filters, pages, files, who may do what, what it costs."""

from __future__ import annotations

import copy
import csv
import html
import io
import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pgtrigger
import pytest
from django.contrib.admin import AdminSite
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection, connections
from django.db.utils import load_backend
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path, reverse
from django.utils.http import urlencode

from demo_site.past import damage as past
from demo_site.past.models import Invoice
from tests.damage import pgid, run
from trigger_ops import api
from trigger_ops.admin import TriggerAdmin
from trigger_ops.exceptions import UnknownSelector
from trigger_ops.models import LedgerEntry, Trigger
from trigger_ops.rendering.documents import listing_document
from trigger_ops.rendering.listings import as_csv
from trigger_ops.states import Status
from trigger_ops.web import evidence
from trigger_ops.web.columns import NOTHING
from trigger_ops.web.keys import parse_key

second = AdminSite("second")
second.register(Trigger, TriggerAdmin)

urlpatterns = [path("second/", second.urls)]

pytestmark = pytest.mark.django_db(databases=["default", "archive"])

INVOICE, PRICES, PAYROLL, CUSTOMER = (
    "past.Invoice:protect_deletes",
    "past.PriceList:read_only",
    "past.Payroll:read_only_employee",
    "past.Customer:read_only_email",
)
ALL = ("view_trigger", "install_trigger", "toggle_trigger", "prune_trigger")


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    evidence.forget()
    yield
    evidence.forget()


@pytest.fixture
def person(client: Client) -> Callable[..., Client]:
    """Return a function that logs staff in who have these permissions of ours."""

    def log_in(*permissions: str) -> Client:
        user = User.objects.create_user("ann", password="x", is_staff=True)
        user.user_permissions.set(
            Permission.objects.filter(
                content_type__app_label="trigger_ops", codename__in=permissions
            )
        )
        assert user.user_permissions.count() == len(permissions)
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def ann(person: Callable[..., Client]) -> Client:
    return person(*ALL)


def address(**query: Any) -> str:
    return f"{reverse('admin:trigger_ops_trigger_changelist')}?{urlencode(query, doseq=True)}"


def get(client: Client, expect: int = 200, /, **query: Any) -> HttpResponse:
    response: HttpResponse = client.get(address(**query))
    assert response.status_code == expect, words(response.content.decode())[:500]
    return response


def shown(client: Client, **query: Any) -> str:
    return get(client, **query).content.decode()


def words(markup: str) -> str:
    """Return what a person reads of a page, on one line."""
    inside = re.sub(r"<head>.*?</head>", "", markup, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", inside)).split())


def verdict(markup: str) -> str:
    found = re.search(r'<p class="tops-verdict">(.*?)</p>', markup, re.S)
    assert found
    return words(found[1]).replace(" ,", ",")


def cells(markup: str) -> list[dict[str, str]]:
    """Return the rows of the table by the headings of their columns."""
    found = re.search(r"<table class=\"tops-table tops-triggers\">.*?</table>", markup, re.S)
    if found is None:
        return []
    headings = [
        words(one).strip(" ▲▼") for one in re.findall(r'<th scope="col"[^>]*>(.*?)</th>', found[0])
    ]
    rows = re.findall(r"<tr>(.*?)</tr>", found[0].partition("<tbody>")[2], re.S)
    return [
        dict(
            zip(
                headings,
                [words(one) for _, one in re.findall(r"<(t[dh])[^>]*>(.*?)</\1>", row, re.S)],
                strict=True,
            )
        )
        for row in rows
    ]


def uris(markup: str) -> list[str]:
    return [row["Trigger"] for row in cells(markup)]


def links(markup: str) -> dict[str, str]:
    """Return addresses by the text of their links."""
    return {
        words(text): html.unescape(to)
        for to, text in re.findall(r'<a [^>]*?href="([^"]*)"[^>]*>(.*?)</a>', markup, re.S)
    }


def ours() -> int:
    """Return how many triggers there are that count."""
    found = api.survey(all_databases=True).triggers
    return sum(one.status not in ("UNALLOWED", "FOREIGN", "UNKNOWN") for one in found)


# The verdict --------------------------------------------------------------------------------------


def test_all_as_registered(ann: Client) -> None:
    markup = shown(ann)
    assert verdict(markup) == f"✔ All {ours()} triggers as registered"
    assert "tops-sentence tops-good" in markup
    assert "Next step" not in words(markup)
    assert re.search(r"Read \d s ago at \d\d:\d\d:\d\d UTC \. Look again", words(markup))


def test_what_needs_attention_is_counted_worst_first_and_each_count_shows_its_own(
    ann: Client,
) -> None:
    past.disable()
    past.orphan()
    past.outdate()
    past.gut()
    run("DROP TRIGGER {name} ON past_customer", name=pgid(CUSTOMER))
    past.foreign()
    markup = shown(ann)
    assert verdict(markup) == (
        "✖ 5 need attention: 1 TAMPERED, 1 UNINSTALLED, 1 OUTDATED, 1 PRUNE, 1 DISABLED"
    )
    assert "manage.py pgtrigger diff" in markup
    to = links(markup)
    for count, uri in {
        "1 TAMPERED": INVOICE,
        "1 UNINSTALLED": CUSTOMER,
        "1 OUTDATED": PRICES,
        "1 DISABLED": PAYROLL,
    }.items():
        assert uris(ann.get(address() + to[count][1:]).content.decode()) == [uri], count


def test_one_that_needs_attention_is_said_in_the_singular(ann: Client) -> None:
    past.gut()
    assert verdict(shown(ann)) == "✖ 1 needs attention: 1 TAMPERED"


def test_only_the_order_of_what_is_wrong_is_not_the_registry_s(ann: Client) -> None:
    calm = uris(shown(ann, per_page=200))
    assert calm == [one.uri for one in api.survey(all_databases=True).triggers]
    past.disable()
    past.outdate()
    past.gut()
    run("DROP TRIGGER {name} ON past_customer", name=pgid(CUSTOMER))
    evidence.forget()
    found = uris(shown(ann, per_page=200))
    worst = [INVOICE, CUSTOMER, PRICES, PAYROLL]
    assert found[:4] == worst
    rest = [(one.uri, one.database) for one in api.survey(all_databases=True).triggers]
    for uri in worst:
        rest.remove((uri, "default"))
    assert found[4:] == [uri for uri, _ in rest]


@pytest.fixture
def archive_down() -> Iterator[None]:
    """Let nobody answer where the alias `archive` is."""
    original = connections["archive"]
    nowhere = {**copy.deepcopy(original.settings_dict), "PORT": "1"}
    connections["archive"] = load_backend(nowhere["ENGINE"]).DatabaseWrapper(nowhere, "archive")
    yield
    connections["archive"] = original


@pytest.mark.usefixtures("archive_down")
def test_a_database_that_is_down_is_a_sentence_and_its_triggers_are_not_green(ann: Client) -> None:
    markup = shown(ann)
    text = words(markup)
    assert verdict(markup) == f"▲ All {ours()} triggers that could be read are as registered"
    assert re.search('✖ "archive" could not be read: connection .*refused', text)
    assert "Next step: see to it that it answers, then look again" in text
    states = {row["Status"] for row in cells(shown(ann, database="archive", per_page=200))}
    assert states == {"? UNKNOWN"}
    for query, complete, code in (({}, False, 3), ({"database": "default"}, True, 0)):
        document = json.loads(shown(ann, format="json", **query))
        assert (document["complete"], document["exit_code"]) == (complete, code)


@pytest.mark.usefixtures("archive_down")
def test_what_is_wrong_elsewhere_is_told_beside_a_database_that_is_down(ann: Client) -> None:
    past.gut()
    markup = shown(ann)
    assert verdict(markup) == "✖ 1 needs attention: 1 TAMPERED"
    assert '"archive" could not be read' in words(markup)
    assert uris(markup)[0] == INVOICE


def test_no_triggers_at_all_is_a_sentence(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trigger_ops.web.evidence.registered_triggers", list)
    monkeypatch.setattr("trigger_ops.web.evidence.project_tables", frozenset)
    run("DROP SCHEMA public CASCADE", using="archive")
    monkeypatch.setattr(api, "postgres_aliases", lambda: ["archive"])
    markup = shown(ann)
    assert verdict(markup) == "○ No triggers are registered here."
    assert "There is no trigger to show." in markup
    assert "tops-triggers" not in markup


def test_no_postgresql_at_all_is_a_sentence(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "postgres_aliases", list)
    assert "No database of this project is PostgreSQL" in verdict(shown(ann))


def test_evidence_is_kept_for_a_moment_and_looked_for_again_on_demand(ann: Client) -> None:
    assert "All" in verdict(shown(ann))
    past.gut()
    assert "All" in verdict(shown(ann))
    to = links(shown(ann, status="INSTALLED"))["Look again"]
    assert to == "?status=INSTALLED&look=again"
    assert "1 TAMPERED" in verdict(ann.get(address() + to[1:]).content.decode())
    assert "look=again" not in links(shown(ann))["Table"]


# The table ----------------------------------------------------------------------------------------


def test_a_row_says_what_there_is_to_know(ann: Client) -> None:
    past.gut()
    (row,) = cells(shown(ann, status="TAMPERED"))
    assert row == {
        "Choose": "",
        "Status": "✖ TAMPERED",
        "Enabled mode": "✔ ENABLED",
        "Trigger": INVOICE,
        "Table": "past_invoice",
        "Database": "default",
        "Schema": "public",
        "Kind": "Protect",
        "Differs in": "body",
    }


def test_a_row_leads_to_the_page_of_its_trigger(ann: Client) -> None:
    to = links(shown(ann, q=INVOICE, database="default"))[INVOICE]
    assert to == (
        f"{reverse('admin:trigger_ops_trigger_detail', kwargs={'uri': INVOICE})}"
        "?database=default&schema=public"
    )
    assert ann.get(to).status_code == 200


def test_a_second_site_keeps_to_itself(ann: Client, settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.web.test_triggers"
    markup = ann.get("/second/trigger_ops/trigger/").content.decode()
    assert uris(markup)
    ways = {*re.findall(r'(?:href|action)="(/[^"]*)"', markup)}
    assert ways
    assert {way.split("/")[1] for way in ways - {"/"}} <= {"second", "static"}


@pytest.mark.parametrize("column", ["status", "enabled", "uri", "table", "kind", "facets"])
def test_a_column_sorts_both_ways_and_says_so(column: str, ann: Client) -> None:
    past.gut()
    plain = shown(ann, database="default")
    assert 'aria-sort="ascending"' not in plain
    up, down = shown(ann, database="default", sort=column, per_page=200), None
    down = shown(ann, database="default", sort=f"-{column}", per_page=200)
    for markup, sort in ((up, "ascending"), (down, "descending")):
        assert markup.count('aria-sort="none"') == 7
        assert markup.count(f'aria-sort="{sort}"') == 1
    assert f"sort=-{column}" in up
    heading = {
        "status": "Status",
        "enabled": "Enabled mode",
        "uri": "Trigger",
        "table": "Table",
        "kind": "Kind",
        "facets": "Differs in",
    }[column]
    found = [row[heading].replace(NOTHING, "") for row in cells(up)]
    backwards = [row[heading].replace(NOTHING, "") for row in cells(down)]
    if column == "status":
        assert found[0] == backwards[-1] == "✖ TAMPERED"
    else:
        # What is in no database has the mode N/A, which is shown as a dash.
        nothing = "N/A" if column == "enabled" else ""
        told = [one.lstrip("✔✖○▲ ") or nothing for one in found]
        assert told == sorted(told)
        assert sorted(found) == sorted(backwards)
        assert found != backwards


@pytest.mark.parametrize("sort", ["", "-", "--uri", "chosen", "nonsense", "trigger__pk", "\0"])
def test_a_nonsense_column_sorts_nothing(sort: str, ann: Client) -> None:
    assert uris(shown(ann, sort=sort)) == uris(shown(ann))


# Narrowing down -----------------------------------------------------------------------------------


def test_filters_search_and_their_sentence(ann: Client) -> None:
    past.gut()
    markup = shown(ann, status="TAMPERED", q="app:past")
    text = words(markup)
    total = len(api.survey(all_databases=True).triggers)
    assert uris(markup) == [INVOICE]
    assert f"1 of {total} triggers, where Status is TAMPERED and App is past." in text
    to = links(markup)
    assert to["Status: TAMPERED ✖"] == "?q=app%3Apast"
    assert to["Search: app:past ✖"] == "?status=TAMPERED"
    assert to["Show all"] == "?"
    assert 'name="q" value="app:past"' in markup
    assert '<input type="hidden" name="status" value="TAMPERED">' in markup


def test_each_offered_value_shows_as_many_rows_as_it_says(ann: Client) -> None:
    past.gut()
    markup = shown(ann, app="past")
    block = re.search(r'<dl class="tops-facets">(.*?)</dl>', markup, re.S)
    assert block
    offered = re.findall(r'<a href="([^"]*)"( aria-current="true")?>(.*?)</a>', block[1], re.S)
    assert len(offered) > 5
    for to, chosen, told in offered:
        if not chosen and "app=past&amp;app=" not in to:
            number = int(words(told).split()[-1])
            found = uris(
                ann.get(f"{address()}{html.unescape(to)[1:]}&per_page=200").content.decode()
            )
            assert len(found) == number, to


def test_an_unknown_term_is_told_under_the_box_and_changes_no_rows(ann: Client) -> None:
    plain = uris(shown(ann))
    markup = shown(ann, q="stat:tampered")
    assert '"stat:" is no term to search by: did you mean "state"?' in words(markup)
    assert 'aria-invalid="true"' in markup
    assert uris(markup) == plain
    for wanted in ("json", "csv"):
        refused = get(ann, 400, q="stat:tampered", format=wanted)
        assert "did you mean" in words(refused.content.decode())


def test_nothing_found_is_a_sentence_with_the_way_back(ann: Client) -> None:
    markup = shown(ann, q="nothing_like_that")
    assert "No trigger is like that." in markup
    assert links(markup)["Show all"] == "?"
    assert "tops-triggers" not in markup


@pytest.mark.parametrize(
    ("query", "first", "rows"),
    [
        ({"per_page": 5}, 1, 5),
        ({"per_page": 5, "page": 2}, 6, 5),
        ({"per_page": 5, "page": 0}, None, None),
        ({"per_page": 5, "page": 99999}, None, None),
        ({"per_page": 5, "page": "nonsense"}, 1, 5),
        ({"per_page": 5, "page": "9" * 5000}, 1, 5),
        ({"per_page": "nonsense"}, 1, 50),
        ({"per_page": 0}, 1, 1),
        ({"per_page": -7}, 1, 1),
    ],
)
def test_pages(query: dict[str, Any], first: int | None, rows: int | None, ann: Client) -> None:
    markup = shown(ann, **query)
    total = len(api.survey(all_databases=True).triggers)
    if first is None:  # beyond the end is the last page
        rows = (total - 1) % 5 + 1
        first = total - rows + 1
    found = cells(markup)
    assert rows is not None
    assert len(found) == min(rows, total)
    assert f"{first} to {first + len(found) - 1} of {total}, read" in words(markup)


def test_a_page_leads_to_the_others(ann: Client) -> None:
    markup = shown(ann, app="past", database="default")
    total = len(cells(markup))
    few = shown(ann, per_page=2, app="past", database="default", sort="-uri")
    to = links(few)
    assert len(uris(few)) == 2
    following = ann.get(address() + to["2"][1:]).content.decode()
    assert len({*uris(few), *uris(following)}) == 4
    assert '<span aria-current="page">2</span>' in following
    seen: list[str] = []
    for page in range(1, (total + 1) // 2 + 1):
        seen += uris(shown(ann, per_page=2, app="past", database="default", page=page))
    assert sorted(seen) == sorted(uris(markup))


# Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, lambda one: True),
        ({"status": "TAMPERED"}, lambda one: one.status is Status.TAMPERED),
        (
            {"q": "app:past db:default"},
            lambda one: one.uri.startswith("past.") and one.database == "default",
        ),
    ],
)
def test_files_are_what_ls_prints_of_what_is_shown(
    query: dict[str, str], wanted: Callable[[Any], bool], ann: Client
) -> None:
    past.gut()
    listing = api.survey(all_databases=True)
    found = tuple(one for one in listing.triggers if wanted(one))
    response = get(ann, **query, format="json")
    assert response["Content-Type"] == "application/json"
    document = json.loads(response.content)
    expected = listing_document(type(listing)(databases=listing.databases, triggers=found))
    assert document == expected
    assert document["schema"] == "trigger_ops.ls/1"
    response = get(ann, **query, format="csv")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="triggers.csv"'
    assert response.content.decode() == as_csv(found)


def test_the_json_is_the_command_s(ann: Client, capsys: pytest.CaptureFixture[str]) -> None:
    past.gut()
    call_command("pgtrigger", "ls", "--format", "json", "--all-databases", verbosity=0)
    printed = json.loads(capsys.readouterr().out)
    assert json.loads(shown(ann, format="json")) == printed


def test_files_are_announced_with_the_filters(ann: Client) -> None:
    markup = shown(ann, app="past", q="invoice", page=3)
    for kind, name in (("application/json", "json"), ("text/csv", "csv")):
        to = f"?app=past&amp;q=invoice&amp;format={name}"
        assert f'<link rel="alternate" type="{kind}" href="{to}">' in markup
        assert links(markup)[name.upper()] == html.unescape(to)


def test_an_unknown_format_is_a_sentence(ann: Client) -> None:
    told = words(get(ann, 400, format="jsn").content.decode())
    assert 'There is no format "jsn": did you mean "json"?' in told


# Hostile names ------------------------------------------------------------------------------------

HOSTILE = [
    '<script>alert("x")</script>',
    "a'; DROP TABLE x; --",
    "=cmd|' /C calc'!A0",
    "tab\tand\nline feed",
    "\u202eright to left",
    "schlüssel 🔑",
    "a/b?c#d%2F",
    "..",
]


@pytest.mark.parametrize("table", HOSTILE)
def test_a_hostile_name_is_text_everywhere(table: str, ann: Client) -> None:
    name = "pgtrigger_x"
    run("CREATE TABLE {table} (id int)", table=table)
    run(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
        name=name,
    )
    run(
        "CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
        name=name,
        table=table,
    )
    (one,) = [one for one in api.survey().triggers if one.status is Status.FOREIGN]
    markup = shown(ann, status="FOREIGN")
    (row,) = cells(markup)
    assert "<script>alert" not in markup
    assert "\u202e" not in markup
    visible = table.replace("\t", r"\t").replace("\n", r"\n").replace("\u202e", r"\u202e")
    assert row["Table"] == visible
    (box,) = re.findall(r'name="chosen" value="([^"]*)"', markup)
    assert parse_key(html.unescape(box)) == (one.uri, "default", "public")
    (line,) = csv.DictReader(io.StringIO(shown(ann, status="FOREIGN", format="csv")))
    assert not line["table"].startswith(("=", "+", "-", "@", "\t", "\r"))
    found = json.loads(shown(ann, status="FOREIGN", format="json"))["triggers"]
    assert [each["table"] for each in found] == [table]
    to = links(markup).get(row["Trigger"])
    if "\n" not in table:
        assert to
        assert ann.get(to).status_code == 200


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", "null", "{}", '["a"]', '["a",1,"b"]', '["","d","s"]', '["u","",null]', "[" * 9999,
     '["u","d","s","t"]', '["u","d",false]'],
)  # as a table  # fmt: skip
def test_a_key_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UnknownSelector):
        parse_key(text)


# Who may ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permissions", "actions"),
    [
        (("install_trigger",), ["install"]),
        (("toggle_trigger",), ["enable", "disable"]),
        (("prune_trigger",), ["prune", "uninstall"]),
        (ALL[1:], ["install", "enable", "disable", "prune", "uninstall"]),
        ((), []),
    ],
)
def test_only_what_somebody_may_do_is_offered(
    permissions: tuple[str, ...], actions: list[str], person: Callable[..., Client]
) -> None:
    markup = shown(person("view_trigger", *permissions))
    assert re.findall(r'<option value="(\w+)">', markup) == actions
    assert ('name="chosen"' in markup) == bool(actions)
    assert ('id="tops-action"' in markup) == bool(actions)
    assert "csrfmiddlewaretoken" in markup


def test_whoever_may_not_look_is_told_what_it_takes(person: Callable[..., Client]) -> None:
    response = get(person("install_trigger"), 403)
    assert "trigger_ops.view_trigger" in response.content.decode()
    assert not cells(response.content.decode())


def test_strangers_log_in_first(client: Client) -> None:
    response = get(client, 302)
    assert reverse("admin:login") in response["Location"]


def test_all_rows_of_a_page_can_be_chosen_without_a_script(ann: Client) -> None:
    markup = shown(ann, per_page=5, page=2)
    assert " checked>" not in markup
    to = links(markup)["Choose all on this page"]
    chosen = ann.get(address() + to[1:]).content.decode()
    assert chosen.count(" checked>") == 5
    assert uris(chosen) == uris(markup)


# What it costs, and what it leaves ----------------------------------------------------------------


@pytest.fixture
def thousand() -> Iterator[int]:
    """Register and install as many triggers as make 1,000, each with a function of its own."""
    model: Any = Invoice
    missing = 1_000 - len(pgtrigger.registered())
    made = [
        pgtrigger.Protect(
            name=f"extra_{number}",
            operation=pgtrigger.Delete,
            condition=pgtrigger.Q(old__id=number) if number % 2 else None,
        )
        for number in range(missing)
    ]
    try:
        with connection.cursor() as cursor:
            for trigger in made:
                trigger.register(model)
                cursor.execute(trigger.compile(model).install_sql)
        yield 1_000
    finally:
        for trigger in made:
            trigger.unregister(model)


def test_a_thousand_triggers_take_fewer_than_15_queries_and_200_rows_a_page(
    ann: Client, thousand: int
) -> None:
    assert len(pgtrigger.registered()) == thousand
    shown(ann)
    evidence.forget()
    with (
        CaptureQueriesContext(connection) as queries,
        CaptureQueriesContext(connections["archive"]) as others,
    ):
        markup = shown(ann)
    assert verdict(markup).startswith("✔ All ")
    assert len(queries) < 15
    # A second database takes one reading more; what begins and ends a reading asks nothing.
    asked = [query["sql"] for query in [*queries, *others]]
    around = re.compile(r"(SAVEPOINT|ROLLBACK|RELEASE|BEGIN|SET TRANSACTION)\b")
    assert len([text for text in asked if not around.match(text)]) < 15, asked
    assert len(cells(markup)) == 50
    for asked_for, given in ((199, 199), (200, 200), (201, 200), (100_000, 200)):
        assert len(cells(shown(ann, per_page=asked_for))) == given


def test_the_second_page_asks_nothing_of_the_triggers(ann: Client) -> None:
    shown(ann)
    with CaptureQueriesContext(connection) as queries:
        shown(ann, page=2, sort="uri", q="protect")
    assert not [query for query in queries if "pg_trigger" in query["sql"]]


def test_nothing_is_written(ann: Client) -> None:
    past.gut()
    before = LedgerEntry.objects.count()
    with CaptureQueriesContext(connection) as queries:
        for query in ({}, {"look": "again"}, {"format": "json"}, {"choose": "page"}):
            get(ann, **query)
    assert not [
        query["sql"]
        for query in queries
        if re.match(r"\s*(INSERT|UPDATE|DELETE|ALTER|DROP)\b", query["sql"], re.IGNORECASE)
    ]
    assert LedgerEntry.objects.count() == before


def test_the_markup_keeps_the_policy_and_names_everything(ann: Client) -> None:
    past.gut()
    markup = shown(ann)
    inside = markup[markup.index('<div class="tops">') :]
    for forbidden in ("style=", "onclick", "onchange", "<script", "javascript:"):
        assert forbidden not in inside
    assert inside.count("<caption>") == 1
    assert inside.count("<th scope=") == inside.count("<th ")
    ids = set(re.findall(r' id="([^"]+)"', markup))
    assert set(re.findall(r'<label for="([^"]+)"', inside)) <= ids
    for described in re.findall(r'aria-describedby="([^"]+)"', inside):
        assert set(described.split()) <= ids
    levels = [int(level) for level in re.findall(r"<h(\d)", markup)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
