"""The page of one trigger: what it shows, of which trigger, to whom, and that it writes nothing."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection, connections
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path, reverse
from django.utils.http import urlencode

from demo_site.past import damage as past
from tests.damage import pgid, run
from tests.web.test_triggers import thousand
from trigger_ops import api
from trigger_ops.admin import TriggerAdmin
from trigger_ops.models import DriftRun, LedgerEntry, Session, Trigger
from trigger_ops.web import evidence
from trigger_ops.web.keys import parse_key

__all__ = ["thousand"]

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
MEASUREMENT = "awkward.Measurement:protect_deletes"
ARCHIVED = "awkward.ArchivedDocument:append_only"
ALL = ("view_trigger", "install_trigger", "toggle_trigger", "prune_trigger", "view_session")


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


def address(uri: str, **query: str) -> str:
    return f"{reverse('admin:trigger_ops_trigger_detail', kwargs={'uri': uri})}?{urlencode(query)}"


def shown(client: Client, uri: str, **query: str) -> str:
    """Return the page of a trigger as markup."""
    response: HttpResponse = client.get(address(uri, **query))
    assert response.status_code == 200, words(response.content.decode())
    return response.content.decode()


def words(markup: str) -> str:
    """Return what a person reads of a page, on one line."""
    inside = re.sub(r"<head>.*?</head>", "", markup, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", inside)).split())


def read(client: Client, uri: str, **query: str) -> str:
    return words(shown(client, uri, **query))


def code_in(markup: str, heading: str) -> str:
    """Return the text of the first block of code after a heading, as it is."""
    after = markup[markup.index(heading) :]
    found = re.search(r"<pre[^>]*><code>(.*?)</code></pre>", after, re.S)
    assert found
    return html.unescape(re.sub(r"<[^>]*>", "", found[1]))


# What it shows ------------------------------------------------------------------------------------


def orphan() -> str:
    past.orphan()
    (uri,) = [one.uri for one in api.inspect() if one.status == "PRUNE"]
    return uri


def foreign() -> str:
    past.foreign()
    return f"past_shipment:{past.AUDIT}"


def missing() -> str:
    run("DROP TRIGGER {name} ON past_customer", name=pgid(CUSTOMER))
    return CUSTOMER


def not_allowed() -> str:
    run("CREATE TABLE awkward_archiveddocument (id int, title text)")
    name = pgid(ARCHIVED)
    run(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        name=name,
    )
    run(
        "CREATE TRIGGER {name} BEFORE DELETE ON awkward_archiveddocument "
        "FOR EACH ROW EXECUTE FUNCTION {name}()",
        name=name,
    )
    return ARCHIVED


def damaged(do: Callable[[], str], uri: str) -> Callable[[], str]:
    def damage() -> str:
        do()
        return uri

    return damage


STATES: dict[str, tuple[Callable[[], str], str, tuple[str, ...], str]] = {
    "as it should be": (
        lambda: CUSTOMER,
        "INSTALLED",
        ("nothing to do", "as the code says"),
        "",
    ),
    "tampered": (
        damaged(past.gut, INVOICE),
        "TAMPERED",
        ("C001 CRITICAL", f"manage.py pgtrigger install {INVOICE}", "Somebody changed it"),
        "CREATE OR REPLACE FUNCTION",
    ),
    "outdated": (
        damaged(past.outdate, PRICES),
        "OUTDATED",
        ("W001 WARNING", f"manage.py pgtrigger install {PRICES}", "an older form"),
        "CREATE OR REPLACE TRIGGER",
    ),
    "disabled": (
        damaged(past.disable, PAYROLL),
        "INSTALLED ✖ DISABLED",
        ("E002 ERROR", f"manage.py pgtrigger enable {PAYROLL}", "does not fire as it should"),
        "ENABLE TRIGGER",
    ),
    "missing": (
        missing,
        "UNINSTALLED",
        ("E001 ERROR", f"manage.py pgtrigger install {CUSTOMER}", "nothing fires"),
        "CREATE TRIGGER",
    ),
    "orphan": (
        orphan,
        "PRUNE",
        ("W002 WARNING", "manage.py pgtrigger prune", "it still fires"),
        "DROP TRIGGER",
    ),
    "foreign": (foreign, "FOREIGN", ("made by somebody else",), ""),
    "not allowed": (
        not_allowed,
        "UNALLOWED ✔ ENABLED",
        ("W007 WARNING", f"manage.py pgtrigger uninstall {ARCHIVED}", "yet it is there"),
        "DROP TRIGGER",
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_it_says_what_a_state_means_and_what_to_do(name: str, ann: Client) -> None:
    damage, status, sentences, statement = STATES[name]
    uri = damage()
    markup = shown(ann, uri)
    text = words(markup)
    assert re.search(rf"[✔✖▲○?] {status}", text)
    for sentence in sentences:
        assert sentence in text
    if statement:
        assert statement in text[text.index("What a repair would do") :]
    else:
        assert "What a repair would do" not in text
    assert markup.count("<h1") >= 1
    assert "style=" not in markup
    assert "onclick" not in markup


@pytest.mark.parametrize("query", [{}, {"view": "unified"}])
def test_both_sides_of_what_was_tampered_with(query: dict[str, str], ann: Client) -> None:
    past.gut()
    markup = shown(ann, INVOICE, **query)
    assert re.search(r"<(del|code)[^>]*>[^\n]*RAISE", markup)
    text = words(markup)
    assert "Function body" in text
    assert ("and installed (+)" in text) == bool(query)
    registered = code_in(markup, "Registered: as pgtrigger compiles it")
    installed = code_in(markup, "Installed: as PostgreSQL prints it")
    assert "_pgtrigger_should_ignore" in registered
    assert "Cannot delete rows" in registered
    assert "COMMENT ON TRIGGER" in registered
    assert f"FUNCTION public.{pgid(INVOICE)}()" in installed
    assert "RETURN OLD;" in installed
    assert "CREATE TRIGGER" in installed
    assert "COMMENT ON TRIGGER" in installed
    assert "Cannot delete rows" not in installed


def test_the_two_views_lead_to_each_other(ann: Client) -> None:
    past.gut()
    for view, other in (({}, "view=unified"), ({"view": "unified"}, "Side by side</a>")):
        markup = shown(ann, INVOICE, **view)
        (link,) = re.findall(r'<a href="([^"]*)#differences">(?:Unified|Side by side)</a>', markup)
        assert other in markup
        back = html.unescape(link)
        assert "database=default" in back
        assert "schema=public" in back
        assert ann.get(back).status_code == 200


@pytest.mark.parametrize(
    ("uri", "facts"),
    [
        (
            CUSTOMER,
            (
                "Condition (((old.email)::text IS DISTINCT FROM (new.email)::text))",
                "Timing BEFORE",
                "Events UPDATE",
                "Level FOR EACH ROW",
                "Security SECURITY INVOKER",
                "Enabled mode ENABLED ENABLED ✔ same",
                "Declared mode ENABLED",
                "Hash registered 613cb741d00ca6e4872a3188404dca5e71b63f23",
                "Hash installed 613cb741d00ca6e4872a3188404dca5e71b63f23",
                "Database default",
                "Schema public",
                "Table past_customer",
                "Kind ReadOnly",
                "Customer: Healthy: the e-mail address is read-only.",
                "refuses changes of columns",
            ),
        ),
        (MEASUREMENT, ("Copies", "partitions", "Kind Protect")),
        ("awkward.Posting:check_balance", ("Deferral CONSTRAINT DEFERRABLE INITIALLY DEFERRED",)),
        ("awkward.LedgerEntry:append_only", ("Schema ledger", "Table entry")),
        ("awkward.Article:update_search_vector", ("full text search", "Arguments")),
        ("tutorial.FSM:validate_status_transitions", ("Kind FSM",)),
    ],
)
def test_facts(uri: str, facts: tuple[str, ...], ann: Client) -> None:
    text = read(ann, uri)
    for fact in facts:
        assert fact in text


def test_a_disable_that_ends_says_when_and_why(ann: Client) -> None:
    call_command(
        *("pgtrigger", "disable", CUSTOMER, "--for", "30m"),
        *("--reason", "one correction by hand", "--no-input"),
        verbosity=0,
    )
    text = read(ann, CUSTOMER)
    assert "I015 INFO" in text
    assert re.search(r"Disabled on a lease until .* UTC", text)
    assert "one correction by hand" in text


def test_a_trigger_that_is_to_be_always_enabled_is_enabled_so(ann: Client, settings: Any) -> None:
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "ENABLED": {CUSTOMER: "always"}}
    assert "ENABLE ALWAYS TRIGGER" in code_in(shown(ann, CUSTOMER), "What a repair would do")


# Which trigger ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        'a/b "c" d',
        "<b>ü&amp;</b>",
        "per%20cent?#",
        "..",
        "end/",
        "日本 \N{RIGHT-TO-LEFT OVERRIDE}x",
    ],
)
def test_an_address_holds_any_name(name: str, ann: Client) -> None:
    name = f"pgtrigger_{name}"  # others are none of ours, and are not listed
    run(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        name=name,
    )
    run(
        "CREATE TRIGGER {name} AFTER INSERT ON past_shipment FOR EACH ROW EXECUTE FUNCTION {name}()",
        name=name,
    )
    (found,) = [one for one in api.inspect() if one.trigger == name]
    markup = shown(ann, found.uri, database="default", schema="public")
    assert "FOREIGN" in markup
    assert "<b>" not in markup.replace("<b></b>", "")
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in markup


@pytest.mark.parametrize(
    ("uri", "query", "status", "sentence"),
    [
        ("past.Invoise:protect_deletes", {}, 404, f'did you mean "{INVOICE}"?'),
        (INVOICE, {"database": "defualt"}, 404, 'did you mean "default"?'),
        (INVOICE, {"database": "default", "schema": "pubic"}, 404, 'did you mean "public"?'),
        (INVOICE, {"database": "lite"}, 404, "There is no trigger"),
        ("<script>", {}, 404, 'There is no trigger "<script>" there'),
        ("\N{RIGHT-TO-LEFT OVERRIDE}", {}, 404, "\\u202e"),
    ],
)
def test_what_there_is_not(
    uri: str, query: dict[str, str], status: int, sentence: str, ann: Client
) -> None:
    response = ann.get(address(uri, **query))
    assert response.status_code == status
    assert sentence in words(response.content.decode())
    assert b"<script>" not in response.content.replace(b"<script ", b"")


def test_without_a_place_it_is_where_it_may_be(ann: Client) -> None:
    text = read(ann, ARCHIVED)
    assert "archive public.awkward_archiveddocument" in text
    assert "INSTALLED" in text
    assert "The same trigger elsewhere" in text
    text = read(ann, ARCHIVED, database="default")
    assert "UNALLOWED" in text
    assert "The routers keep its model out of this database" in text


def test_a_schema_off_the_path(ann: Client) -> None:
    run("CREATE SCHEMA tenant")
    run("CREATE TABLE tenant.past_invoice (LIKE public.past_invoice)")
    text = read(ann, INVOICE, database="default", schema="tenant")
    assert "UNINSTALLED" in text
    assert "default tenant.past_invoice" in text
    assert "CREATE TRIGGER" in text
    assert "public.past_invoice" not in text


def test_a_database_that_is_down(ann: Client) -> None:
    original = connections["archive"]
    other = original.copy("archive")
    other.settings_dict = {**original.settings_dict, "PORT": "1", "HOST": "127.0.0.1"}
    connections["archive"] = other
    try:
        assert "INSTALLED" in read(ann, CUSTOMER, database="default")
        markup = shown(ann, ARCHIVED, database="archive")
    finally:
        connections["archive"] = original
    text = words(markup)
    assert "UNKNOWN" in text
    assert "Connection refused" in text
    assert "It is not known whether anything is wrong" in text
    assert "nothing to do" not in text
    assert "The database does not have it" not in text
    assert 'name="action"' not in markup


@pytest.mark.urls("tests.web.test_detail")
def test_another_site(ann: Client) -> None:
    past.gut()
    url = reverse(
        "admin:trigger_ops_trigger_detail", kwargs={"uri": INVOICE}, current_app="second"
    )
    assert url.startswith("/second/")
    response = ann.get(url)
    assert response.status_code == 200
    markup = response.content.decode()
    assert 'action="/second/trigger_ops/trigger/act/"' in markup
    assert not re.findall(r'(?:href|action)="(/admin/[^"]*)"', markup)


# Bodies -------------------------------------------------------------------------------------------


def replace_body(body: str) -> None:
    run(
        "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $body$"
        + body
        + "$body$",
        name=pgid(INVOICE),
    )


@pytest.mark.parametrize("query", [{}, {"view": "unified"}, {"lines": "all"}])
def test_markup_in_a_body_is_text_and_nothing_is_invisible(
    query: dict[str, str], ann: Client
) -> None:
    replace_body(
        "\nBEGIN -- <script>alert(1)</script> {{{{ x }}}} \N{ZERO WIDTH SPACE}\r\nRETURN OLD; END;\n"
    )
    markup = shown(ann, INVOICE, **query)
    assert "<script>" not in markup
    assert "\N{ZERO WIDTH SPACE}" not in markup
    installed = code_in(markup, "Installed: as PostgreSQL prints it")
    assert "BEGIN -- <script>alert(1)</script> {{ x }} \\u200b\\r\nRETURN OLD; END;" in installed
    assert '<del class="tops-invisible">' not in markup
    assert re.search(r'<ins class="tops-invisible">\\u200b\\r</ins>', markup)


@pytest.mark.parametrize("query", [{}, {"view": "unified"}, {"lines": "all"}])
def test_a_function_of_5000_lines(query: dict[str, str], ann: Client) -> None:
    lines = [f"    NULL; -- {number}" for number in range(5_000)]
    replace_body("\n".join(["", "BEGIN", *lines, "    RETURN OLD;", "END;", ""]))
    markup = shown(ann, INVOICE, **query)
    installed = code_in(markup, "Installed: as PostgreSQL prints it")
    assert all(line in installed for line in lines)


@pytest.mark.parametrize("damage", [lambda: None, past.gut], ids=["calm", "tampered"])
def test_one_of_a_thousand_triggers_takes_as_many_queries_as_one_of_few(
    damage: Callable[[], None], ann: Client, request: pytest.FixtureRequest
) -> None:
    def asked() -> int:
        evidence.forget()
        shown(ann, INVOICE)  # conditions are spelled once in a process
        evidence.forget()
        with (
            CaptureQueriesContext(connection) as queries,
            CaptureQueriesContext(connections["archive"]) as others,
        ):
            shown(ann, INVOICE)
        return len(queries) + len(others)

    damage()
    few = asked()
    request.getfixturevalue("thousand")
    assert asked() == few


def test_what_is_far_from_a_change_is_folded_unless_asked_for(ann: Client) -> None:
    (body,) = [one.installed.body for one in api.inspect(INVOICE) if one.installed]
    replace_body(body + "-- end")
    markup = shown(ann, INVOICE)
    assert "lines that are the same" in markup
    (link,) = re.findall(r'<a href="([^"]*)#differences">Show every line</a>', markup)
    assert "lines that are the same" not in ann.get(html.unescape(link)).content.decode()
    assert "lines that are the same" not in shown(ann, INVOICE, lines="all")


# Who may do what ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permissions", "buttons"),
    [
        ((), []),
        (("install_trigger",), ["install"]),
        (("toggle_trigger",), ["disable"]),
        (("prune_trigger",), ["uninstall"]),
        (ALL[1:], ["install", "disable", "uninstall"]),
    ],
)
def test_buttons_are_for_those_who_may(
    permissions: tuple[str, ...], buttons: list[str], person: Callable[..., Client]
) -> None:
    past.gut()
    markup = shown(person("view_trigger", *permissions), INVOICE)
    forms = re.findall(r'<form method="post" action="[^"]*/act/">(.*?)</form>', markup, re.S)
    assert [re.findall(r'name="action" value="(\w+)"', form)[0] for form in forms] == buttons
    for form in forms:
        assert "csrfmiddlewaretoken" in form
        (chosen,) = re.findall(r'name="chosen" value="([^"]*)"', form)
        assert parse_key(html.unescape(chosen)) == (INVOICE, "default", "public")
        assert ('name="for"' in form) == ('value="disable"' in form)


@pytest.mark.parametrize(
    ("damage", "buttons"),
    [
        (damaged(past.disable, PAYROLL), ["install", "enable", "uninstall"]),
        (missing, ["install"]),
        (orphan, ["prune"]),
        (foreign, []),
    ],
)
def test_buttons_are_what_makes_sense(
    damage: Callable[[], str], buttons: list[str], ann: Client
) -> None:
    assert re.findall(r'name="action" value="(\w+)"', shown(ann, damage())) == buttons


@pytest.mark.parametrize(
    "permissions", [(), ("install_trigger", "toggle_trigger", "prune_trigger", "view_session")]
)
def test_it_takes_the_permission_to_see_triggers(
    permissions: tuple[str, ...], person: Callable[..., Client]
) -> None:
    response = person(*permissions).get(address(INVOICE))
    assert response.status_code == 403
    assert "trigger_ops.view_trigger" in response.content.decode()
    assert "RAISE" not in response.content.decode()


def test_nobody_else_gets_further_than_the_login(client: Client) -> None:
    assert client.get(address(INVOICE))["Location"].startswith("/admin/login/")
    client.force_login(User.objects.create_user("bob", password="x", is_superuser=True))
    assert client.get(address(INVOICE))["Location"].startswith("/admin/login/")


def test_nothing_is_written(ann: Client) -> None:
    past.apply()
    ledger, runs = LedgerEntry.objects.count(), DriftRun.objects.count()
    with CaptureQueriesContext(connection) as queries:
        shown(ann, INVOICE)
        shown(ann, PRICES, view="unified")
    for one in queries.captured_queries:
        assert not re.match(r"\s*(INSERT|UPDATE|DELETE|ALTER|DROP|GRANT)\b", one["sql"], re.I)
    assert (LedgerEntry.objects.count(), DriftRun.objects.count()) == (ledger, runs)
    assert ann.post(address(INVOICE)).status_code == 405


# History ------------------------------------------------------------------------------------------


def part(markup: str, heading: str) -> str:
    """Return what a person reads between a heading of the third level and the next heading."""
    after = markup[markup.index(f"<h3>{heading}</h3>") + 4 :]
    return words(re.split(r"<h[23]|tops-note", after)[0])


def test_without_any_history(ann: Client) -> None:
    markup = shown(ann, CUSTOMER)
    assert "Nothing of ours changed it." in part(markup, "What we changed")
    assert "No recorded check found anything." in part(markup, "What checks found")
    assert "No session could ignore it." in part(markup, "Sessions that could ignore it")


def test_what_was_done_found_and_ignored(ann: Client) -> None:
    past.gut()
    api.check(databases=["default"], record=True)
    call_command(
        *("pgtrigger", "install", INVOICE, "--reason", "<i>after the incident</i>"),
        *("--no-input",),
        verbosity=0,
    )
    api.check(databases=["default"], record=True)
    markup = shown(ann, INVOICE)
    done = part(markup, "What we changed")
    assert "install" in done
    assert "<i>after the incident</i>" in done
    found = part(markup, "What checks found")
    assert "C001" in found
    assert "CRITICAL" in found
    assert "opened" in found
    assert "resolved" in found
    assert "still open I004 INFO" in found  # about TRUNCATE, which nothing here protects from
    assert "still open C001" not in found
    assert re.search(r"(?:a\.m\.|p\.m\.|noon|midnight) UTC", found)
    for other in (CUSTOMER, PAYROLL):
        assert "Nothing of ours changed it." in read(ann, other)


def test_the_newest_20_come_first(ann: Client) -> None:
    for number in range(12):
        for verb in ("disable", "enable"):
            call_command(
                *("pgtrigger", verb, CUSTOMER, "--reason", f"turn {number}", "--no-input"),
                verbosity=0,
            )
    done = part(shown(ann, CUSTOMER), "What we changed")
    turns = [int(number) for number in re.findall(r"turn (\d+)", done)]
    assert len(turns) == 20
    assert turns == sorted(turns, reverse=True)
    assert turns[0] == 11


@pytest.fixture
def asked() -> None:
    """Let somebody have asked for a session on the invoices."""
    Session.objects.create(
        state="asked",
        uris=[INVOICE],
        triggers=[pgid(INVOICE)],
        reason="delete <b>duplicates</b>",
        ticket="OPS-7",
        surface="open",
        opener="user:carol",
        needs=1,
        lasts="00:15:00",
        idle="00:15:00",
        longest="01:00:00",
        waits="01:00:00",
        most_rows=100,
        most_extensions=1,
    )


def test_sessions_are_for_those_who_may_see_them(
    asked: None, person: Callable[..., Client]
) -> None:
    heading = "Sessions that could ignore it"
    ann = person("view_trigger")
    told = part(shown(ann, INVOICE), heading)
    assert "trigger_ops.view_session" in told
    assert "carol" not in told
    User.objects.get(username="ann").user_permissions.add(
        Permission.objects.get(codename="view_session", content_type__app_label="trigger_ops")
    )
    told = part(shown(ann, INVOICE), heading)
    assert "user:carol" in told
    assert "OPS-7 delete <b>duplicates</b>" in told
    assert "waits for approval" in told
    assert "No session" in part(shown(ann, CUSTOMER), heading)


@pytest.mark.parametrize(
    ("table", "heading"),
    [
        ("trigger_ops_ledgerentry", "What we changed"),
        ("trigger_ops_driftfinding", "What checks found"),
        ("trigger_ops_session", "Sessions that could ignore it"),
    ],
)
def test_a_table_that_is_missing_is_a_sentence(table: str, heading: str, ann: Client) -> None:
    run("ALTER TABLE {table} RENAME TO gone", table=table)
    markup = shown(ann, INVOICE)
    assert "manage.py migrate" in part(markup, heading)
    assert "INSTALLED" in markup


def test_keys_are_json() -> None:
    assert parse_key(json.dumps(["a:b", "default", None])) == ("a:b", "default", None)
