"""Whatever an address or a form has in it is text: no page fails for it, and none runs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.contrib.admin import SimpleListFilter

from tests.sessions.conftest import REASON, RECEIPT, guarded_template, migrated_database
from tests.web.dashboard import ASKED, KEY, LOOKS, World, pages, world
from tests.web.once import nonce
from tests.web.session_people import words
from trigger_ops.admin import ADMINS
from trigger_ops.models import Allowance, LedgerEntry, Review, Session
from trigger_ops.web import evidence, freshness

__all__ = ["guarded_template", "migrated_database", "world"]

NASTY = (
    "",
    "a\0b",
    "'\"; DROP TABLE x; --",
    "<script>alert(1)</script>",
    "\N{RIGHT-TO-LEFT OVERRIDE}evil",
    "% %s %(x)s {0} {{ x }} \\ \\0",
    "9" * 5_000,
    "-1",
    "\N{ARABIC-INDIC DIGIT THREE}",
    "[{" * 500,
    "../../etc/passwd",
    "x" * 100_000,
)
EACH = 3
"""So many of these each parameter gets, so that together they get all."""

OF_DJANGO = ("q", "p", "o", "all", "e", "_popup", "_to_field", "_facets", "_changelist_filters")
RECORDS = ("ledgerentry", "driftrun", "driftfinding", "allowance", "change")


def _filters_of(name: str) -> Iterator[str]:
    """Yield the parameters that a list of records has of its own."""
    (model,) = [one for one in ADMINS if one._meta.model_name == name]
    for one in admin.site.get_model_admin(model).list_filter:
        assert isinstance(one, type)
        assert issubclass(one, SimpleListFilter)
        yield str(one.parameter_name)


PARAMETERS: dict[str, tuple[str, ...]] = {
    "trigger_changelist": (
        *("format", "look", "q", "status", "enabled", "app", "database", "schema", "kind"),
        *("facet", "sort", "page", "per_page", "choose"),
    ),
    "trigger_detail": ("database", "schema", "view", "lines"),
    "action_result": ("also",),
    "session_changelist": ("database", "state", "opener", "q", "page"),
    "session_detail": ("database", "steps", "rows"),
    "session_ask": ("database", "q", "trigger"),
    "session_json": ("database",),
    "session_csv": ("database",),
    "allowance_add": ("finding",),
    "destinations": (),
    "drift_history": (),
    "runbook": (),
    **{f"{name}_changelist": (*_filters_of(name), "q") for name in RECORDS},
    **{f"{name}_change": ("using", "_to_field") for name in RECORDS},
}
# What is Django's is the same for all.
PARAMETERS["driftrun_changelist"] += (*OF_DJANGO, "began", "began__year", "began__month")
PARAMETERS["change_change"] += OF_DJANGO

BESIDE = {
    "trigger_changelist": {"per_page": "1"},
    "ledgerentry_changelist": {"kind": "finished"},  # few
    "trigger_detail": {"database": "default"},
}


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    evidence.forget()
    freshness.forget()


def see_text_alone(answer: Any) -> None:
    """See that an answer is no failure, and has nothing hostile in it but as text."""
    where = answer.request["PATH_INFO"][:200], answer.request["QUERY_STRING"][:200]
    assert answer.status_code < 500, (where, words(answer.content)[:500])
    if answer.streaming or not answer["Content-Type"].startswith("text/html"):
        return
    markup = answer.content.decode()
    assert "<script>alert" not in markup, where
    # A field keeps what was typed as it is.
    read = re.sub(r'value="[^"]*"|<textarea[^>]*>[^<]*</textarea>', "", markup)
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in read, where


def test_every_page_is_in_the_table() -> None:
    assert {*PARAMETERS} == {way.page for way in LOOKS if way.status == 200}


@pytest.mark.parametrize("name", [name for name in PARAMETERS if PARAMETERS[name]])
def test_whatever_a_parameter_is_given(name: str, world: World) -> None:
    def ask(**query: str) -> None:
        see_text_alone(world.ask(ASKED[name], world.boss, **{**BESIDE.get(name, {}), **query}))

    for number, parameter in enumerate(PARAMETERS[name]):
        for step in range(EACH):
            ask(**{parameter: NASTY[(number + 4 * step) % len(NASTY)]})
    ask(**dict.fromkeys(PARAMETERS[name], NASTY[3]))


@pytest.mark.parametrize("route", [route for _name, route in pages() if "<" in route])
def test_whatever_is_in_the_address_itself(route: str, world: World) -> None:
    before, _, after = re.sub(r"<[^>]*>", "<>", route).partition("<>")
    for value in (*NASTY[1:6], "%00", "0", "\n", "_0A_", "x" * 5_000):
        page = f"/admin/{before}{quote(value, safe='')}{after}"
        see_text_alone(world.boss.get(page, {"database": "default"}, follow=True))


# Forms --------------------------------------------------------------------------------------------

_DATABASE = {"database": "default", "nonce": ""}

FORMS: dict[str, dict[str, Any]] = {
    "action_confirm": {"action": "disable", "chosen": [KEY], "for": "30m"},
    "action_run": {
        **dict.fromkeys(("fingerprint", "nonce", "allow", "typed"), ""),
        "action": "disable",
        "chosen": [KEY],
        "for": "30m",
        "reason": REASON,
    },
    "session_ask": {
        **dict.fromkeys(("ticket", "history", "nonce"), ""),
        "database": "default",
        "triggers": [RECEIPT],
        "reason": REASON,
        "duration": "9h",  # too long
    },
    "session_review": {"verdict": "", "remark": "", **_DATABASE},
    "session_extend": {"longer": "", "extensions": "0", **_DATABASE},
    "session_revoke": {"reason": "", **_DATABASE},
    "destination_test": {"destination": "nobody", "nonce": ""},
    "allowance_add": {"finding": "0", "reason": "", "lasts": "7d", "nonce": ""},
    "allowance_changelist": {
        "action": "expire",
        "index": "0",
        "_selected_action": ["0"],
        "select_across": "0",
        "nonce": "",
    },
}
"""Every field of each form that posts, with what does nothing; to end a session takes no more."""


@pytest.mark.parametrize("name", FORMS)
def test_whatever_a_field_is_given(name: str, world: World) -> None:
    before = [model.objects.count() for model in (LedgerEntry, Session, Review, Allowance)]
    for number, field in enumerate(FORMS[name]):
        for step in range(EACH):
            sent = {**FORMS[name], "nonce": nonce(world.boss)}
            sent[field] = NASTY[1:][(number + 4 * step) % (len(NASTY) - 1)]
            see_text_alone(world.boss.post(world.address(name), sent))
    after = [model.objects.count() for model in (LedgerEntry, Session, Review, Allowance)]
    assert after == before


@pytest.mark.parametrize("name", FORMS)
def test_a_form_with_nothing_in_it(name: str, world: World) -> None:
    see_text_alone(world.boss.post(world.address(name), b"\xff\xfe=%00&%ED%A0%80", "text/plain"))
    see_text_alone(world.boss.post(world.address(name), {"\0": "\0", "action": "\0"}))
