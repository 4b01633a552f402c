"""Sessions in the admin: on which requests they count, the banner, and what ends them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_save
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils.module_loading import import_string
from django.views.decorators.csrf import csrf_exempt

from demo_site.past.models import Customer, Invoice, Receipt
from tests.damage import pgid, run
from tests.sessions.conftest import (
    RECEIPT,
    default_at,
    guarded,
    guarded_template,
    make_database,
    migrated_database,
    own_database,
    second_connection,
)
from tests.site import ROOT
from trigger_ops import api
from trigger_ops.models import Change, Policy, SessionTransaction
from trigger_ops.records import SessionRecord
from trigger_ops.states import SessionState
from trigger_ops.web.middleware import SessionMiddleware
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

KEY = "trigger_ops.session"
REASON = "the numbers were typed wrong"


class Admin:
    """A user with a login in the admin."""

    def __init__(self, name: str = "ann", *, superuser: bool = True) -> None:
        self.user = User.objects.create_user(name, f"{name}@example.org", "a password")
        self.user.is_staff, self.user.is_superuser = True, superuser
        self.user.save()
        self.client = self.login()

    def login(self) -> Client:
        client = Client(raise_request_exception=False)
        client.force_login(self.user)
        return client

    def open(self, *selectors: str, client: Client | None = None) -> SessionRecord:
        """Open a session and bind this login to it, as the form does."""
        record = api.open_session(
            *(selectors or (RECEIPT,)),
            reason=REASON,
            actor=actor_of_user(self.user),
            surface="admin",
        )
        kept = (client or self.client).session
        kept[KEY] = [record.id, "default"]
        kept.save()
        return record


@pytest.fixture
def ann(guarded: BaseDatabaseWrapper) -> Admin:
    Receipt.objects.bulk_create([Receipt(id=1, number="A1"), Receipt(id=2, number="A2")])
    return Admin()


def change(client: Client, number: str = "new", receipt: int = 1) -> Any:
    return client.post(f"/admin/past/receipt/{receipt}/change/", {"number": number})


def number() -> str:
    return Receipt.objects.get(id=1).number


def state(record: SessionRecord) -> SessionState:
    return api.find_session(record.id).state


def test_what_is_saved_on_a_page_of_a_model_in_scope_is_in_the_session(ann: Admin) -> None:
    assert change(ann.client).status_code == 200
    assert number() == "A1"
    record = ann.open()
    assert change(ann.client).status_code == 302
    assert number() == "new"
    (row,) = Change.objects.all()
    assert (row.op, row.old["number"], row.new["number"]) == ("UPDATE", "A1", "new")
    assert SessionTransaction.objects.get().session_id == record.id
    assert state(record) is SessionState.ACTIVE


def test_a_model_out_of_scope_is_enforced(ann: Admin) -> None:
    Invoice.objects.create(id=7, number="I7", total=1)
    ann.open()
    answer = ann.client.post("/admin/past/invoice/7/delete/", {"post": "yes"})
    assert answer.status_code in (200, 403)
    assert Invoice.objects.filter(id=7).exists()


def test_a_page_of_another_model_is_not_in_it_whatever_it_touches(ann: Admin) -> None:
    Customer.objects.create(id=7, name="Bo", email="bo@example.org")
    ann.open()

    def touch(**_: Any) -> None:
        Receipt.objects.update(number="new")

    post_save.connect(touch, sender=Customer)
    try:
        ann.client.post(
            "/admin/past/customer/7/change/", {"name": "Bob", "email": "bo@example.org"}
        )
    finally:
        post_save.disconnect(touch, sender=Customer)
    assert (number(), Customer.objects.get(id=7).name) == ("A1", "Bo")
    assert not Change.objects.exists()


def test_reading_a_page_is_not_in_it(ann: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    def touch(_request: HttpRequest) -> list[str]:
        Receipt.objects.update(number="new")
        return ["number"]

    monkeypatch.setattr(site.get_model_admin(Receipt), "get_list_display", touch)
    ann.open()
    ann.client.get("/admin/past/receipt/")
    assert number() == "A1"


def rename(request: HttpRequest) -> HttpResponse:
    """Change a receipt outside of the admin."""
    Receipt.objects.update(number="new")
    return HttpResponse("done")


urlpatterns = [path("admin/", site.urls), path("plain/", csrf_exempt(rename))]


@pytest.mark.urls("tests.web.test_middleware")
def test_only_pages_of_the_admin_count(ann: Admin) -> None:
    ann.open()
    answer = ann.client.post("/plain/")
    assert (answer.status_code, number()) == (500, "A1")
    assert change(ann.client).status_code == 302
    assert number() == "new"


def test_another_login_of_the_same_user_is_not_in_it(ann: Admin) -> None:
    ann.open()
    change(ann.login())
    assert number() == "A1"


def test_a_session_of_somebody_else_is_not_worked_in_and_ends(ann: Admin) -> None:
    record = ann.open()
    bob = Admin("bob")
    kept = bob.client.session
    kept[KEY] = [record.id, "default"]
    kept.save()
    change(bob.client)
    assert number() == "A1"
    assert KEY not in bob.client.session


def test_with_atomic_requests_a_rolled_back_request_leaves_the_session_on_record(
    ann: Admin,
) -> None:
    record = ann.open()
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        assert change(ann.client).status_code == 302
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False
    assert number() == "new"
    assert SessionTransaction.objects.get().session_id == record.id


def test_a_request_that_waits_for_approval_changes_nothing_and_says_so(
    ann: Admin,
) -> None:
    policy = {"mode": "four_eyes", "approvals": 1}
    Policy.objects.create(trigger=pgid(RECEIPT), uri=RECEIPT, **policy)
    record = ann.open()
    assert record.state is SessionState.PENDING
    change(ann.client)
    assert number() == "A1"
    page = ann.client.get("/admin/").content.decode()
    assert f"Session {record.id} waits for approval." in page
    bob = Admin("bob")
    api.review_session(record.id, reviewer=actor_of_user(bob.user), verdict="approve")
    assert change(ann.client).status_code == 302
    assert number() == "new"


PAGES = ["/admin/", "/admin/past/receipt/", "/admin/past/invoice/", "/admin/auth/user/"]


@pytest.mark.parametrize("place", PAGES)
def test_every_page_of_the_admin_has_the_banner_and_no_other_page(place: str, ann: Admin) -> None:
    before = ann.client.get(place).content.decode()
    assert "tops-banner" not in before
    record = ann.open()
    shown = ann.client.get(place).content.decode()
    assert f"Session {record.id} is active." in shown
    assert f"<code>{RECEIPT}</code>" in shown
    assert "minutes left, until " in shown
    assert shown.index("banner.css") < shown.index("</head>") < shown.index('tops-banner"')
    assert "style=" not in shown[shown.index('<aside class="tops-banner"') :].split("</aside>")[0]
    assert "tops-banner" not in ann.client.get("/").content.decode()
    assert "tops-banner" not in ann.login().get(place).content.decode()


def test_what_is_no_page_is_left_as_it_is(ann: Admin) -> None:
    ann.open()
    answer = ann.client.get("/admin/jsi18n/")
    assert answer["Content-Type"].startswith("text/javascript")
    assert b"tops-banner" not in answer.content


def test_it_stands_where_the_documentation_puts_it(settings: Any) -> None:
    text = (ROOT / "docs" / "admin.md").read_text(encoding="utf-8")
    (named,) = re.findall(r'"(trigger_ops\.web\.middleware\.\w+)"', text)
    assert settings.MIDDLEWARE[-1] == named
    assert import_string(named) is SessionMiddleware


# What ends it -----------------------------------------------------------------------------------


def log_out(ann: Admin) -> None:
    ann.client.post("/admin/logout/")


def lock_out(ann: Admin) -> None:
    ann.user.is_active = False
    ann.user.save()


def lock_out_unseen(ann: Admin) -> None:
    User.objects.update(is_active=False)
    ann.client.get("/admin/")


def set_password(ann: Admin) -> None:
    ann.user.set_password("another password")
    ann.user.save()


def lose_the_permission(ann: Admin) -> None:
    User.objects.update(is_superuser=False)
    ann.client.get("/admin/")


def lose_the_admin(ann: Admin) -> None:
    User.objects.update(is_staff=False)
    ann.client.get("/admin/")


ENDS = [log_out, lock_out, lock_out_unseen, set_password, lose_the_permission, lose_the_admin]


@pytest.mark.parametrize("act", ENDS)
def test_a_session_ends_with_what_it_hangs_on(act: Any, ann: Admin) -> None:
    record = ann.open()
    assert state(record) is SessionState.ACTIVE
    act(ann)
    assert state(record) is SessionState.ENDED
    change(ann.client)
    assert number() == "A1"


def test_a_save_of_a_user_that_changes_neither_ends_nothing(ann: Admin) -> None:
    record = ann.open()
    user = User.objects.get(pk=ann.user.pk)
    user.first_name = "Ann"
    user.save()
    assert state(record) is SessionState.ACTIVE


def test_a_permission_of_its_own_is_enough(guarded: BaseDatabaseWrapper) -> None:
    Receipt.objects.create(id=1, number="A1")
    eve = Admin("eve", superuser=False)
    names = ("request_session", "change_receipt", "view_receipt")
    eve.user.user_permissions.set(Permission.objects.filter(codename__in=names))
    eve.open()
    assert change(eve.client).status_code == 302
    assert number() == "new"


@pytest.mark.parametrize("how", ["end", "revoke", "expire"])
def test_one_that_is_over_is_said_once_and_left(how: str, ann: Admin) -> None:
    record = ann.open()
    if how == "end":
        api.end_session(record.id)
    elif how == "revoke":
        api.revoke_session(record.id, reason="stop")
    else:
        run("ALTER TABLE trigger_ops_session DISABLE TRIGGER ALL")
        run("UPDATE trigger_ops_session SET expires = clock_timestamp() - interval '1s'")
        run("ALTER TABLE trigger_ops_session ENABLE TRIGGER ALL")
    change(ann.client)
    assert number() == "A1"
    assert KEY not in ann.client.session
    page = ann.client.get("/admin/").content.decode()
    assert "tops-banner" not in page
