"""The list of sessions and the page of one: what they show, to whom, and that they write nothing."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path, reverse

from demo_site.past.models import Customer, Receipt
from tests.damage import run
from tests.management.sessions import HOSTILE, demand_approval
from tests.sessions.conftest import (
    CUSTOMER,
    INVOICE,
    REASON,
    RECEIPT,
    default_at,
    guarded,
    guarded_template,
    make_database,
    migrated_database,
    own_database,
    second_connection,
)
from tests.web.session_people import EVERY, Person, address, expire, words
from trigger_ops import api
from trigger_ops.admin import SessionAdmin, TriggerAdmin
from trigger_ops.models import Session, Trigger
from trigger_ops.rendering.session_documents import session_document
from trigger_ops.web.people import actor_of_user

__all__ = [
    "default_at",
    "guarded",
    "guarded_template",
    "make_database",
    "migrated_database",
    "own_database",
    "second_connection",
]

second = AdminSite("second")
second.register(Session, SessionAdmin)
second.register(Trigger, TriggerAdmin)

urlpatterns = [path("second/", second.urls)]

pytestmark = pytest.mark.usefixtures("guarded")


@pytest.fixture
def ann(guarded: BaseDatabaseWrapper) -> Person:
    return Person("ann", *EVERY)


@pytest.fixture
def bob(guarded: BaseDatabaseWrapper) -> Person:
    return Person("bob", *EVERY)


def write(number: int, **named: Any) -> None:
    """Change a receipt in a session that is open."""
    Receipt.objects.create(id=1, number="A1")
    with api.session(id=number, **named):
        Receipt.objects.filter(id=1).update(number="B1")


# The list ---------------------------------------------------------------------------------------


def test_the_active_come_first_then_who_waits_then_the_past(ann: Person, bob: Person) -> None:
    over = ann.opens(ticket="OPS-1")
    api.end_session(over.id)
    active = ann.opens(INVOICE, duration="30m")
    demand_approval()
    waits = bob.opens(CUSTOMER)
    text = ann.reads("changelist")
    parts = re.split(r" (Active|Waiting for approval|Over) (?=\d|Session|The|No)", text)[2::2]
    assert len(parts) == 3
    assert f"{active.id} ● active until" in parts[0]
    assert re.search(r"until .*\d\d:\d\d UTC *, (29|30) minutes left", parts[0])
    assert f"Session {waits.id} ? waits for approval" in parts[1]
    assert "user:bob asks for 15m; it has 0 of 1 approvals." in parts[1]
    assert f"{over.id} ✔ ended" in parts[2]
    assert "OPS-1" in parts[2]
    assert "✔ clean" in parts[2]


def test_an_empty_list_says_so(ann: Person) -> None:
    text = ann.reads("changelist")
    assert "No session is active: every trigger is in force." in text
    assert "Nothing waits for approval." in text
    assert "No session is over yet." in text


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ({"state": "active"}, "active"),
        ({"state": "ended"}, "ended"),
        ({"opener": "user:bob"}, "bobs"),
        ({"q": "invoice TIDY"}, "active"),
        ({"q": "past.Receipt:append_only"}, "ended"),
        ({"state": "ended", "opener": "user:bob"}, ""),
        ({"state": "nonsense", "page": "-1"}, "active ended bobs"),
        ({"page": "9" * 5000}, ""),
    ],
)
def test_filters(query: dict[str, str], seen: str, ann: Person, bob: Person) -> None:
    ended = ann.opens()
    api.end_session(ended.id)
    bobs = bob.opens(CUSTOMER)
    api.revoke_session(bobs.id, reason="stop")
    active = ann.opens(INVOICE, reason="tidy up the invoices")
    numbers = {"active": active.id, "ended": ended.id, "bobs": bobs.id}
    markup = ann.sees("changelist", **query)
    found = {int(one) for one in re.findall(r"/session/(\d+)/\">\d+</a>", markup)}
    assert found == {numbers[name] for name in seen.split()}


def test_the_past_is_paged(ann: Person) -> None:
    for _ in range(26):
        api.end_session(ann.opens().id)
    first = ann.sees("changelist", opener="user:ann")
    assert len(re.findall(r'<th scope="row">', first)) == 25
    (older,) = re.findall(r'rel="next" href="([^"]*)"', first)
    second_page = ann.client.get(older.replace("&amp;", "&")).content.decode()
    assert len(re.findall(r'<th scope="row">', second_page)) == 1
    assert "opener=user%3Aann" in older
    assert 'rel="next"' not in second_page
    assert 'rel="prev"' in second_page


def test_a_list_asks_no_more_for_more(ann: Person) -> None:
    numbers = []
    for size in (2, 20):
        for _ in range(size):
            api.end_session(ann.opens().id)
        ann.reads("changelist")  # Django keeps content types
        with CaptureQueriesContext(connections["default"]) as asked:
            ann.reads("changelist")
        numbers.append(len(asked))
    assert numbers[0] == numbers[1]


def test_the_queue_has_buttons_for_those_who_may(ann: Person, bob: Person) -> None:
    demand_approval()
    waits = bob.opens()
    post = f'action="{address("review", waits.id)}"'
    assert post in ann.sees("changelist")
    assert post not in bob.sees("changelist")
    assert "You asked for it: somebody else reviews it." in bob.reads("changelist")
    assert post not in Person("eve", "view_session").sees("changelist")


def guard_off() -> None:
    run("DELETE FROM trigger_ops_guard")


def tables_missing() -> None:
    run("DROP TABLE trigger_ops_policy")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (guard_off, "The guard is not on in"),
        (tables_missing, "The tables of sessions are missing on"),
    ],
)
def test_without_a_guard_it_says_what_to_run(damage: Any, sentence: str, ann: Person) -> None:
    damage()
    for page in ("changelist", "ask"):
        text = ann.reads(page)
        assert sentence in text
        assert "manage.py pgtrigger guard install" in text
    assert "Ask for a session" not in ann.reads("changelist")


@pytest.mark.parametrize(
    ("alias", "status", "sentence"),
    [
        ("defualt", 404, 'did you mean "default"?'),
        ("lite", 200, "is no PostgreSQL database"),
    ],
)
def test_another_database(alias: str, status: int, sentence: str, ann: Person) -> None:
    for page in ("changelist", "ask"):
        assert sentence in ann.reads(page, status=status, database=alias)


def test_a_database_that_is_down(ann: Person) -> None:
    original = connections["archive"]
    other = original.copy("archive")
    other.settings_dict = {**original.settings_dict, "PORT": "1", "HOST": "127.0.0.1"}
    connections["archive"] = other
    try:
        for page, args in (("changelist", ()), ("ask", ()), ("detail", (1,))):
            assert "archive" in ann.reads(page, *args, status=503, database="archive")
    finally:
        connections["archive"] = original


# One session ------------------------------------------------------------------------------------


def test_the_page_of_a_session_has_all_of_it(ann: Person, bob: Person) -> None:
    demand_approval()
    record = ann.opens(ticket="OPS-7", duration="1h")
    api.review_session(
        record.id, reviewer=actor_of_user(bob.user), verdict="approve", remark="go on"
    )
    write(record.id, actor=actor_of_user(ann.user))
    text = ann.reads("detail", record.id)
    for expected in (
        "● active until",
        "minutes left",
        REASON,
        RECEIPT,
        "OPS-7",
        "user:ann",
        "1h; extended 0 of 2 times",
        "✔ approved user:bob",
        "go on",
        'UPDATE "past_receipt" SET "number" = %s',
        "± UPDATE",
        "public.past_receipt",
        "id 1 number : A1 → B1",
        "✔ Clean so far 1 row on record",
    ):
        assert expected in text
    api.end_session(record.id)
    text = ann.reads("detail", record.id)
    assert "✔ Clean" in text
    assert "Withdraw" not in text
    assert 'method="post" action="/admin/trigger_ops' not in ann.sees("detail", record.id)


def test_who_worked_in_a_session_is_on_its_page(ann: Person, bob: Person) -> None:
    record = ann.opens()
    write(record.id, actor=actor_of_user(bob.user))
    text = ann.reads("detail", record.id)
    assert "Besides: user:bob worked in the session, which user:ann opened." in text
    assert "worked in it user:bob" in text
    assert "✔ Clean so far 1 row on record" in text


def test_old_and_new_are_shown_by_column(ann: Person) -> None:
    record = ann.opens(CUSTOMER)
    customer = Customer.objects.create(name="Ada", email="ada@old.example")
    with api.session(id=record.id):
        Customer.objects.update(name="Eve", email="eve@new.example")
        Customer.objects.all().delete()
    markup = ann.sees("detail", record.id)
    assert "<del>ada@old.example</del> → <ins>eve@new.example</ins>" in markup
    assert "<del>Ada</del> → <ins>Eve</ins>" in markup
    assert f"<code>id</code>: <del>{customer.pk}</del></li>" in markup  # deleted: no new one
    assert f"<del>{customer.pk}</del> →" not in markup


def test_masked_columns_stay_masked(ann: Person) -> None:
    record = ann.opens()
    Receipt.objects.create(id=1, number="A1")
    with api.session(id=record.id):
        Receipt.objects.update(number="secret-in-clear")
    run("ALTER TABLE trigger_ops_change DISABLE TRIGGER ALL")
    run("""UPDATE trigger_ops_change SET new = '{{"id": 1, "number": "***"}}'""")
    markup = ann.sees("detail", record.id)
    assert "<ins>***</ins>" in markup
    assert "secret-in-clear" not in markup


def test_what_was_refused_is_told(ann: Person) -> None:
    record = ann.opens()
    Customer.objects.create(name="Ada", email="ada@old.example")
    with api.session(id=record.id), pytest.raises(DatabaseError):
        run("SELECT set_config('trigger_ops.session', '999', false); SELECT 1 / 0")
    text = ann.reads("detail", record.id)
    assert "Refused and failed" in text
    assert "✖ failed: SQLSTATE 22012" in text


def test_ten_thousand_rows_are_paged(ann: Person) -> None:
    record = ann.opens()
    Receipt.objects.bulk_create(Receipt(number=f"n{number}") for number in range(10_000))
    with api.session(id=record.id):
        Receipt.objects.update(number="x")
    began = time.process_time()
    markup = ann.sees("detail", record.id)
    assert time.process_time() - began < 5
    assert "1 to 100 of 10000" in words(markup)
    assert markup.count('<ul class="tops-columns">') == 100
    last = ann.sees("detail", record.id, rows="100")
    assert "9901 to 10000 of 10000" in words(last)
    assert "Later" not in words(last)
    beyond = ann.reads("detail", record.id, rows="9" * 5000)
    assert "9901 to 10000 of 10000" in beyond
    (later,) = re.findall(r'rel="next" href="([^"]*)#rows"', markup)
    assert "101 to 200 of 10000" in words(ann.client.get(later).content)


def test_what_is_hostile_is_text(ann: Person) -> None:
    record = ann.opens(reason=f"{HOSTILE} and a reason", ticket="<b>x</b>")
    Receipt.objects.create(id=1, number="A1")
    with api.session(id=record.id):
        Receipt.objects.update(number="<img src=x>\N{RIGHT-TO-LEFT OVERRIDE}")
    for page, args in (("changelist", ()), ("detail", (record.id,))):
        markup = ann.sees(page, *args)
        assert "<script>alert" not in markup
        assert "&lt;script&gt;alert(1)&lt;/script&gt; \\x1b[2J\\u202e" in markup
        assert "<b>x</b>" not in markup
        assert "<img" not in markup
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in markup
        assert "style=" not in markup[markup.index('<div class="tops">') :]
        assert not re.search(
            r"<script(?![^>]*\bsrc=)", markup[markup.index('<div class="tops">') :]
        )


@pytest.mark.parametrize("number", [999, 0, 10**30])
def test_a_session_that_there_is_not(number: int, ann: Person) -> None:
    assert "There is no session" in ann.reads("detail", number, status=404)


def test_one_that_expired_says_so(ann: Person) -> None:
    record = ann.opens()
    expire(record)
    markup = ann.sees("detail", record.id)
    assert "○ expired" in words(markup)
    assert "data-tops-now" not in markup


def test_the_countdown_has_what_the_script_needs(ann: Person) -> None:
    record = ann.opens(duration="30s")
    markup = ann.sees("detail", record.id)
    assert "less than a minute left" in words(markup)
    assert re.search(r'<time class="tops-left" datetime="20[^"]*" data-tops-now="20[^"]*"', markup)
    assert "trigger_ops/countdown.js" in markup


def test_a_project_without_time_zones_sees_sessions_too(ann: Person, settings: Any) -> None:
    record = ann.opens(duration="30m")
    settings.USE_TZ = False
    assert re.search(r"(29|30) minutes left", ann.reads("changelist"))
    assert re.search(r"(29|30) minutes left", words(ann.sees("detail", record.id)))
    assert ann.does("extend", record.id, longer="10m", extensions="0").status_code == 302
    assert re.search(r"(39|40) minutes left", words(ann.sees("detail", record.id)))


# Files ------------------------------------------------------------------------------------------


def test_json_is_what_the_command_prints(ann: Person) -> None:
    record = ann.opens()
    write(record.id)
    response = ann.client.get(address("json", record.id))
    assert response["Content-Type"] == "application/json"
    assert f'filename="session-{record.id}.json"' in response["Content-Disposition"]
    assert json.loads(response.content) == session_document(api.show_session(record.id))


def test_csv_has_a_line_a_column_and_no_formula(ann: Person) -> None:
    record = ann.opens()
    Receipt.objects.create(id=1, number="A1")
    with api.session(id=record.id):
        Receipt.objects.update(number='=HYPERLINK("x")')
        Receipt.objects.all().delete()
    response = ann.client.get(address("csv", record.id))
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    lines = list(csv.DictReader(io.StringIO(b"".join(response).decode())))  # type: ignore[arg-type]  # a streaming response is iterable
    cells = [(one["op"], one["key"], one["column"], one["old"], one["new"]) for one in lines]
    formula = '\'=HYPERLINK("x")'
    assert ("UPDATE", "id 1", "number", "A1", formula) in cells
    assert ("DELETE", "id 1", "number", formula, "") in cells
    assert ("DELETE", "id 1", "id", "1", "") in cells


# Who may see what -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "permissions", "lacks"),
    [
        ("changelist", (), "view_session"),
        ("detail", ("view_change", "review_session"), "view_session"),
        ("json", ("view_session",), "view_change"),
        ("csv", ("view_session",), "view_change"),
        ("json", ("view_change",), "view_session"),
        ("ask", ("view_session",), "request_session"),
    ],
)
def test_a_page_names_the_permission_it_takes(
    page: str, permissions: tuple[str, ...], lacks: str, ann: Person
) -> None:
    args = () if page in ("changelist", "ask") else (ann.opens().id,)
    eve = Person("eve", *permissions)
    assert f"trigger_ops.{lacks} :" in eve.reads(page, *args, status=403)
    stranger = Client()
    assert stranger.get(address(page, *args))["Location"].startswith("/admin/login/")
    stranger.force_login(User.objects.create_user("cat", is_superuser=True))
    assert stranger.get(address(page, *args))["Location"].startswith("/admin/login/")


def test_rows_take_a_permission_of_their_own(ann: Person) -> None:
    record = ann.opens()
    write(record.id)
    eve = Person("eve", "view_session")
    markup = eve.sees("detail", record.id)
    assert "trigger_ops.view_change" in markup
    # Not the markup: its token of CSRF is random letters and digits.
    assert "A1" not in eve.reads("detail", record.id)
    assert address("json", record.id) not in markup


def test_reading_writes_nothing(ann: Person) -> None:
    record = ann.opens()
    write(record.id)
    pages = [address(page) for page in ("changelist", "ask")]
    pages += [address(page, record.id) for page in ("detail", "json", "csv")]
    with CaptureQueriesContext(connections["default"]) as asked:
        for page in pages:
            assert ann.client.get(page).status_code == 200
    writes = [
        one["sql"] for one in asked if re.match(r"(INSERT|UPDATE|DELETE)\b", one["sql"], re.I)
    ]
    assert writes == []


def test_the_index_of_the_admin_leads_here(ann: Person) -> None:
    assert f'href="{address("changelist")}"' in ann.client.get("/admin/").content.decode()


@pytest.mark.urls("tests.web.test_sessions")
def test_another_site(ann: Person, bob: Person) -> None:
    demand_approval()
    record = bob.opens()
    for name, args in (
        ("changelist", []),
        ("detail", [record.id]),
        ("ask", []),
    ):
        url = reverse(f"admin:trigger_ops_session_{name}", args=args, current_app="second")
        assert url.startswith("/second/")
        markup = ann.client.get(url).content.decode()
        assert re.search(r'action="/second/trigger_ops/session/', markup)
        assert not re.findall(r'(?:href|action)="/admin/', markup)
