"""Acting from the admin: confirmed, carried out once, on record; and everything that stands in the way."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

from tests.applier.conftest import default_at, make_database, migrated_database, own_database
from tests.damage import gut, pgid, run
from trigger_ops import api
from trigger_ops.models import LedgerEntry
from trigger_ops.states import Status
from trigger_ops.web import evidence

__all__ = ["default_at", "make_database", "migrated_database", "own_database"]

INVOICE, RECEIPT = "past.Invoice:protect_deletes", "past.Receipt:append_only"
CONFIRM, RUN = "/admin/trigger_ops/trigger/act/", "/admin/trigger_ops/trigger/act/now/"
REASON = "the release of Friday mends it"


def key(uri: str) -> str:
    return f'["{uri}","default","public"]'


@pytest.fixture(autouse=True)
def unseen() -> Iterator[None]:
    evidence.forget()
    yield
    evidence.forget()


@pytest.fixture
def ann(own_database: BaseDatabaseWrapper) -> Client:
    """Log a superuser in, on a database where everything is installed."""
    client = Client()
    client.force_login(User.objects.create_superuser("ann"))
    return client


def text_of(answer: Any) -> str:
    found = re.sub(r"<(script|style).*?</\1>", " ", answer.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", found)).split())


def form_of(answer: Any) -> dict[str, Any]:
    """Return what the form of a page that asks for a yes would send."""
    page = answer.content.decode()
    form = page[page.index('class="tops-confirm"') :].partition("</form>")[0]
    found: dict[str, Any] = {}
    for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form):
        found.setdefault(name, []).append(html.unescape(value))
    return found


def ask(client: Client, action: str, *uris: str, **more: str) -> Any:
    return client.post(CONFIRM, {"action": action, "chosen": [key(uri) for uri in uris], **more})


def status(uri: str = INVOICE) -> Status:
    return api.inspect(uri)[0].status


def enabled(uri: str = RECEIPT) -> str:
    (found,) = run("SELECT tgenabled::text FROM pg_trigger WHERE tgname = %s", pgid(uri))
    return str(found[0])


def test_a_tampered_trigger_is_shown_confirmed_repaired_and_on_record(ann: Client) -> None:
    gut(pgid(INVOICE))
    shown = ask(ann, "install", INVOICE)
    assert shown.status_code == 200
    assert "CREATE OR REPLACE FUNCTION" in text_of(shown)
    assert "Lock: NONE" in text_of(shown)
    assert status() is Status.TAMPERED
    assert not LedgerEntry.objects.exists()
    done = ann.post(RUN, {**form_of(shown), "reason": REASON})
    assert done.status_code == 302, text_of(done)
    assert status() is Status.INSTALLED
    result = text_of(ann.get(done["Location"]))
    assert f"install by user:ann: {REASON}" in result
    assert "Install: 1 replaced." in result
    (entry,) = LedgerEntry.objects.filter(kind="started")
    assert (entry.actor, entry.reason, entry.verb) == ("user:ann", REASON, "install")
    note = LogEntry.objects.get()
    assert note.object_repr == f"install {INVOICE}"
    assert REASON in note.change_message


def test_a_form_that_is_sent_twice_acts_once(ann: Client) -> None:
    gut(pgid(INVOICE))
    form = {**form_of(ask(ann, "install", INVOICE)), "reason": REASON}
    assert ann.post(RUN, form).status_code == 302
    gut(pgid(INVOICE))
    again = ann.post(RUN, form)
    assert again.status_code == 409
    assert "This form was sent before" in text_of(again)
    assert status() is Status.TAMPERED


def test_what_changed_since_it_was_shown_is_not_done(ann: Client) -> None:
    gut(pgid(INVOICE))
    form = {**form_of(ask(ann, "install", INVOICE)), "reason": REASON}
    run("DROP TRIGGER {name} ON past_invoice", name=pgid(INVOICE))
    answer = ann.post(RUN, form)
    assert answer.status_code == 409
    assert "is not as it was when this was planned" in text_of(answer)
    assert status() is Status.UNINSTALLED
    assert ann.post(RUN, {**form_of(answer), "reason": REASON}).status_code == 302
    assert status() is Status.INSTALLED


REFUSED = {
    "no reason": ({"reason": ""}, 400, "An action takes a reason of at least 10"),
    "filler": ({"reason": "xxxxxxxxxxxx"}, 400, "reason"),
    "not typed": ({"typed": ""}, 400, "Type “append_only” to confirm"),
    "typed otherwise": ({"typed": "append_onl"}, 400, "Type “append_only” to confirm"),
    "another plan": ({"fingerprint": "x"}, 409, "is not as it was when this was planned"),
    "no nonce": ({"nonce": ""}, 409, "This form was sent before"),
    "made-up nonce": ({"nonce": "x"}, 409, "This form was sent before"),
    "no duration": ({"for": "soon"}, 400, "no duration"),
    "no action": ({"action": "explode"}, 404, "There is no such action"),
    "a verb of the guard": ({"action": "guard install"}, 404, "There is no such action"),
    "nothing chosen": ({"chosen": []}, 404, "No trigger is chosen"),
    "nonsense chosen": ({"chosen": ["x"]}, 404, "This names no trigger"),
    "gone": ({"chosen": ['["past.Receipt:gone","default","public"]']}, 404, "past.Receipt:"),
}


@pytest.mark.parametrize(("changed", "code", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_a_form_that_is_not_right_does_nothing_and_says_why(
    changed: dict[str, Any], code: int, sentence: str, ann: Client
) -> None:
    right = form_of(ask(ann, "disable", RECEIPT, **{"for": "1h"}))
    form = {**right, "reason": REASON, "typed": "append_only", **changed}
    answer = ann.post(RUN, form)
    assert (answer.status_code, enabled()) == (code, "O"), text_of(answer)
    assert sentence in text_of(answer)
    assert not LedgerEntry.objects.exists()


def test_a_disable_has_a_lease_and_is_ended_by_enable(ann: Client) -> None:
    shown = ask(ann, "disable", RECEIPT, **{"for": "1h"})
    assert "It is disabled for everybody, for 1h" in text_of(shown)
    form = {**form_of(shown), "reason": REASON, "typed": "append_only"}
    assert ann.post(RUN, form).status_code == 302
    assert enabled() == "D"
    assert run("SELECT count(*) FROM trigger_ops_triggerlease") == [(1,)]
    form = {**form_of(ask(ann, "enable", RECEIPT)), "reason": REASON}
    assert ann.post(RUN, form).status_code == 302
    assert enabled() == "O"


def test_a_hazard_has_to_be_ticked(ann: Client) -> None:
    run("ALTER TABLE past_invoice DISABLE TRIGGER {name}", name=pgid(INVOICE))
    gut(pgid(INVOICE))
    form = {**form_of(ask(ann, "enable", INVOICE)), "reason": REASON}
    answer = ann.post(RUN, form)
    if answer.status_code == 409:  # where it is a hazard, it is done once it is ticked
        ticks = re.findall(r'name="allow" value="([A-Z_]+)"', answer.content.decode())
        assert ticks
        form = {**form_of(answer), "reason": REASON, "allow": ticks}
        assert ann.post(RUN, form).status_code == 302
    assert enabled(INVOICE) == "O"


def test_several_at_once_take_their_number(ann: Client) -> None:
    shown = ask(ann, "disable", RECEIPT, INVOICE, **{"for": "30m"})
    assert "Type 2 to confirm" in text_of(shown)
    form = {**form_of(shown), "reason": REASON, "typed": "2"}
    assert ann.post(RUN, form).status_code == 302
    assert (enabled(RECEIPT), enabled(INVOICE)) == ("D", "D")


def test_nothing_to_do_is_a_sentence_without_a_form(ann: Client) -> None:
    answer = ask(ann, "install", INVOICE)
    assert "There is nothing to do" in text_of(answer)
    assert "tops-confirm" not in answer.content.decode()


def test_what_cannot_be_done_is_not_called_right(ann: Client) -> None:
    run("ALTER TABLE past_invoice RENAME TO gone")
    answer = ask(ann, "install", INVOICE)
    assert "Nothing would be done: the list above says why." in text_of(answer)
    assert "its table is missing: run manage.py migrate first" in text_of(answer)
    assert "as it should be" not in text_of(answer)
    assert "<details open>" in answer.content.decode()


def test_with_atomic_requests_it_is_carried_out_all_the_same(ann: Client) -> None:
    gut(pgid(INVOICE))
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        form = {**form_of(ask(ann, "install", INVOICE)), "reason": REASON}
        assert ann.post(RUN, form).status_code == 302
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False
    assert status() is Status.INSTALLED


def test_a_lock_that_is_not_to_be_had_is_a_sentence(ann: Client, settings: Any) -> None:
    settings.TRIGGER_OPS = {"APPLY_LOCK_BUDGET": "300ms", "APPLY_LOCK_TIMEOUT": "100ms"}
    form = {**form_of(ask(ann, "disable", RECEIPT)), "reason": REASON, "typed": "append_only"}
    other = connection.get_new_connection(connection.get_connection_params())
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE past_receipt IN ACCESS SHARE MODE")
            cursor.execute("LOCK TABLE past_receipt IN ROW EXCLUSIVE MODE")
            answer = ann.post(RUN, form)
    finally:
        other.close()
    assert answer.status_code in (302, 409)
    if answer.status_code == 302:
        answer = ann.get(answer["Location"])
    assert enabled() == "O"
    assert "past_receipt" in text_of(answer)


PERMISSIONS = {
    "install": "install_trigger",
    "enable": "toggle_trigger",
    "disable": "toggle_trigger",
    "uninstall": "prune_trigger",
    "prune": "prune_trigger",
}


@pytest.mark.parametrize("place", [CONFIRM, RUN])
@pytest.mark.parametrize("action", PERMISSIONS)
def test_each_action_takes_its_permission(
    action: str, place: str, own_database: BaseDatabaseWrapper
) -> None:
    eve = User.objects.create_user("eve", is_staff=True)
    others = {"view_trigger", *PERMISSIONS.values()} - {PERMISSIONS[action]}
    eve.user_permissions.set(Permission.objects.filter(codename__in=others))
    client = Client()
    client.force_login(eve)
    answer = client.post(place, {"action": action, "chosen": [key(RECEIPT)]})
    assert answer.status_code == 403
    assert f"trigger_ops.{PERMISSIONS[action]}" in text_of(answer)
    eve.user_permissions.add(Permission.objects.get(codename=PERMISSIONS[action]))
    assert client.post(place, {"action": action, "chosen": [key(RECEIPT)]}).status_code != 403


@pytest.mark.parametrize("place", [CONFIRM, RUN])
def test_nothing_is_done_by_opening_an_address_nor_by_another_site(
    place: str, ann: Client
) -> None:
    answer = ann.get(place)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="ann"))
    assert strict.post(place, {"action": "disable", "chosen": [key(RECEIPT)]}).status_code == 403
    anonymous = Client().post(place, {"action": "disable", "chosen": [key(RECEIPT)]})
    assert (anonymous.status_code, enabled()) == (302, "O")
    assert "/admin/login/" in anonymous["Location"]


def test_a_run_that_no_ledger_knows_is_a_sentence(ann: Client) -> None:
    answer = ann.get("/admin/trigger_ops/trigger/runs/00000000-0000-4000-8000-000000000000/")
    assert answer.status_code == 404
    assert "No ledger knows the run" in text_of(answer)
