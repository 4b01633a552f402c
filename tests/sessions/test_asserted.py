"""What the database takes the application's word for, shown one by one, under *split*.

``guard status`` and the auditor's guide list them: nobody is to believe more than holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Receipt
from tests.database.acts import do, enter, ignoring, one, open_session, transaction
from tests.guard.test_acknowledge import guard as command
from tests.sessions.conftest import RECEIPT, default_at
from tests.test_acceptance import GUIDE
from trigger_ops import api
from trigger_ops.rendering.guard import ASSERTED, NO_TRACE, OWNERS
from trigger_ops.states import ExitCode, SessionState


def opener() -> None:
    """Whoever has the application's role opens a session in anybody's name."""
    number = open_session(connection, RECEIPT, opener="user:the_boss", opener_key="1")
    assert api.find_session(number).opened_by == "user:the_boss"


def reviewer() -> None:
    """And approves it in somebody else's."""
    number = open_session(connection, RECEIPT, opener="user:ada", needs=1)
    assert api.find_session(number).state is SessionState.PENDING
    review = "SELECT trigger_ops_review(%s, 'user:the_boss', '1', 'approve', 'looks right')"
    assert one(connection, review, number) == "active"
    (vote,) = api.find_session(number).reviews
    assert vote.reviewer == "user:the_boss"


def actors() -> None:
    """Whoever ends a session says who that is."""
    number = open_session(connection, RECEIPT)
    do(connection, "SELECT trigger_ops_extend(%s, 'user:nobody', '1 minute'::interval)", number)
    do(connection, "SELECT trigger_ops_close(%s, 'revoked', 'user:nobody', 'enough')", number)
    assert one(connection, "SELECT trigger_ops_acknowledge('{1}', 'user:nobody', 'known')") == 1
    told = [(one.kind, one.actor) for one in api.show_session(number).events]
    assert told[-2:] == [("extended", "user:nobody"), ("revoked", "user:nobody")]
    assert do(connection, "SELECT actor FROM trigger_ops_acknowledgement") == [("user:nobody",)]


def statements() -> None:
    """What is put on record of a statement need not be what was sent; the row is what it is."""
    number = open_session(connection, RECEIPT)
    other = json.dumps([{"template": "UPDATE past_receipt SET number = 'fair'", "rows": 1}])
    with transaction(connection):
        enter(connection, number)
        do(connection, "UPDATE past_receipt SET number = 'foul'")
        do(connection, "SELECT trigger_ops_record(%s, %s::jsonb)", number, other)
    account = api.show_session(number)
    assert [one.template for one in account.statements] == [
        "UPDATE past_receipt SET number = 'fair'"
    ]
    assert [(one.new or {})["number"] for one in account.changes] == ["foul"]


def events() -> None:
    """A refusal or an export can be told that never was."""
    number = open_session(connection, RECEIPT)
    do(connection, "SELECT trigger_ops_tell(%s, 'exported', 'user:auditor', '{}')", number)
    do(connection, "SELECT trigger_ops_tell(NULL, 'refused', 'user:rival', '{}')")
    assert api.show_session(number).events[-1].actor == "user:auditor"
    assert api.list_denials()[0].actor == "user:rival"


def reasons() -> None:
    """The rule for reasons is the application's: the database wants one, and asks no more."""
    number = open_session(connection, RECEIPT, reason="x", ticket="TICKET-0")
    found = api.find_session(number)
    assert (found.reason, found.ticket) == ("x", "TICKET-0")


SHOWN: dict[str, Callable[[], None]] = dict(
    zip(ASSERTED, (opener, reviewer, actors, statements, events, reasons), strict=True)
)


@pytest.mark.parametrize("claim", ASSERTED)
def test_the_applications_role_alone_can_say_otherwise(
    app_role: BaseDatabaseWrapper, receipt: Receipt, claim: str
) -> None:
    assert api.guard_status("default").profile.name == "split"  # type: ignore[union-attr]  # a guarded database has one
    SHOWN[claim]()


def test_status_says_so(app_role: BaseDatabaseWrapper) -> None:
    code, text, told = command("status")
    # What went past triggers is in the ledger as well, which the application writes and does not read.
    assert (code, "GRANT SELECT ON" in told) == (ExitCode.INCOMPLETE, True)
    for claim in ASSERTED:
        assert claim in text
    assert "asserted by the application, and taken as said: " in text
    (database,) = json.loads(command("status", "--format", "json")[1])["databases"]
    assert database["asserted"] == list(ASSERTED)
    assert (database["since"][:2], database["unattributed_complete"]) == ("20", False)
    assert database["profile"] == "split"
    assert (database["role"], database["role_could"]) == (app_role.settings_dict["USER"], "")


def test_the_guide_says_so() -> None:
    text = " ".join(GUIDE.read_text(encoding="utf-8").split())
    for claim in (*ASSERTED, *OWNERS, NO_TRACE):
        assert claim.casefold() in text.casefold(), claim


def test_what_an_owner_puts_back_leaves_no_trace(guarded: BaseDatabaseWrapper) -> None:
    """That is what *single* is: nobody is to read more into a green check."""
    do(guarded, "INSERT INTO past_receipt (number) VALUES ('wrong')")
    with transaction(guarded):
        do(guarded, ignoring(RECEIPT))
        do(guarded, "UPDATE past_receipt SET number = 'foul'")
    assert len(api.unattributed("default")) == 1
    for table in ("trigger_ops_change", "trigger_ops_decision"):
        switch = f"ALTER TABLE {table} {{}} TRIGGER trigger_ops_evidence_guard"
        do(guarded, switch.format("DISABLE"))
        do(guarded, f"DELETE FROM {table}")
        do(guarded, switch.format("ENABLE ALWAYS"))
    assert command("status")[0] == 0
    assert api.unattributed("default") == []
    assert {one.id for one in api.check(databases=["default"]).findings if one.level > 20} == set()


# Profiles are about roles -------------------------------------------------------------------------


def test_split_is_judged_for_some_roles_and_the_one_that_asks_is_told_of_itself(
    guarded: BaseDatabaseWrapper, app_role: BaseDatabaseWrapper
) -> None:
    owner = {key: guarded.settings_dict[key] for key in ("USER", "PASSWORD")}
    with default_at(**owner):
        user = one(connection, "SELECT session_user::text")
        _, text, _ = command("status")
        assert f"kept from {app_role.settings_dict['USER']} by ownership: {OWNERS[0]}" in text
        said = f'nothing is kept from the role that asks: role "{user}" is a superuser'
        assert said in text
        (database,) = json.loads(command("status", "--format", "json")[1])["databases"]
    assert (database["profile"], database["role"]) == ("split", user)
    assert database["role_could"] == f'role "{user}" is a superuser'


def test_under_single_what_can_be_done_is_detected_while_it_lasts(
    guarded: BaseDatabaseWrapper,
) -> None:
    code, text, _ = command("status")
    assert (code, "profile single" in text) == (0, True)
    assert f"detected while it lasts, and not prevented: {OWNERS[0]}" in text
    assert NO_TRACE in text
    assert "the role that asks" not in text  # the reason for single says it
    off = "ALTER TABLE trigger_ops_change {} TRIGGER trigger_ops_evidence_guard"
    do(guarded, off.format("DISABLE"))
    assert command("status")[0] == 1
    do(guarded, off.format("ENABLE ALWAYS"))
    assert command("status")[0] == 0
