"""Whoever writes policies or limits by hand is on record, and told until somebody acknowledges it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Receipt
from tests.damage import pgid, run
from tests.guard.conftest import guard
from tests.guard.parts import enter
from tests.guard.test_acknowledge import REASON
from tests.guard.test_acknowledge import guard as command
from tests.guard.test_findings import found
from tests.weaknesses.conftest import default_at
from trigger_ops import api
from trigger_ops.drift.acts import told_act
from trigger_ops.states import Level, Verb

RECEIPT = "past.Receipt:append_only"
TRIGGER = pgid(RECEIPT)
OPEN = (
    "INSERT INTO trigger_ops_policy (trigger, uri, mode) "
    f"VALUES ('{TRIGGER}', '{RECEIPT}', 'open')"
)


def acts() -> list[str]:
    """Return what is on record that no run of ours did, oldest first."""
    past = reversed(api.unattributed("default"))
    return [told_act(act) for one in past for act in one.acts]


@pytest.mark.usefixtures("guarded")
def test_a_policy_that_was_open_for_a_moment_is_on_record() -> None:
    Receipt.objects.create(number="R-1")
    with transaction.atomic():
        run(OPEN)
        run("SELECT set_config('pgtrigger.ignore', %s, true)", f"{{{TRIGGER}}}")
        assert Receipt.objects.update(number="R-2") == 1
        run("DELETE FROM trigger_ops_policy")
    assert run("SELECT count(*) FROM trigger_ops_change") == [(0,)]
    assert found("C006") == []
    (one,) = found("C007")
    role = run("SELECT session_user::text")[0][0]
    assert one.message.startswith(
        f"Outside any session, in 1 transaction: policy of {RECEIPT} set to open; policy of "
        f'{RECEIPT} taken away, which was open, by role "{role}", 20'
    )
    assert (one.level, one.fix) == (
        Level.CRITICAL,
        "manage.py pgtrigger guard acknowledge --reason …",
    )
    (past,) = api.unattributed("default")
    assert (past.rows, past.tables, past.triggers, past.causes) == (0, (), (), ("guard",))
    api.acknowledge("default", [past.transaction], actor="user:ada", reason=REASON)
    assert found("C007") == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "UPDATE trigger_ops_guard SET longest = '10 years'",
            ["longest of the guard changed from 04:00:00 to 10 years"],
        ),
        (
            "UPDATE trigger_ops_guard SET most_rows = NULL, policy = 'open'",
            [
                (
                    "most_rows of the guard changed from 10000 to no limit; policy of the guard changed "
                    "from record to open"
                )
            ],
        ),
        (
            f'UPDATE trigger_ops_guard SET uris = uris || \'{{{{"{TRIGGER}": "a.B:c"}}}}\'',
            ["uris of the guard changed"],
        ),
        (
            f"{OPEN}; UPDATE trigger_ops_policy SET mode = 'four_eyes', approvals = 2",
            [
                f"policy of {RECEIPT} set to open",
                f"policy of {RECEIPT} changed from open to four_eyes (2)",
            ],
        ),
        ("UPDATE trigger_ops_guard SET policy = policy", []),
    ],
)
@pytest.mark.parametrize("replica", [False, True], ids=["", "as a replica"])
@pytest.mark.usefixtures("guarded")
def test_every_statement_that_changes_something_is_on_record(
    statement: str, told: list[str], *, replica: bool
) -> None:
    if replica:
        run("SET session_replication_role = replica")
    run(statement)
    run("RESET session_replication_role")
    assert acts() == told
    # Of many URIs only those that changed.
    for old, new in run("SELECT old::text, new::text FROM trigger_ops_guardchange OFFSET 2"):
        assert len(json.loads(new or "{}").get("uris", {})) <= 1
        assert len(json.loads(old or "{}").get("uris", {})) <= 1


@pytest.mark.usefixtures("guarded")
def test_who_it_was_is_on_record(guarded: BaseDatabaseWrapper) -> None:
    options = {**guarded.settings_dict["OPTIONS"], "application_name": "night job"}
    with default_at(OPTIONS=options):
        run("UPDATE trigger_ops_guard SET longest = '10 years'")
        this = run("SELECT max(transaction) FROM trigger_ops_guardchange")[0][0]
    (past,) = api.unattributed("default")
    assert (past.transaction, past.application) == (this, "night job")
    assert past.role == run("SELECT session_user::text")[0][0]
    assert past.address in ("127.0.0.1", "local")


# Guards that are off ------------------------------------------------------------------------------


@pytest.mark.usefixtures("guarded")
def test_a_guard_that_was_switched_off_by_hand_is_told_although_it_is_off() -> None:
    run("DELETE FROM trigger_ops_guard")
    assert acts() == ["the guard switched off"]
    (one,) = found("C007")
    assert "in 1 transaction: the guard switched off, by role" in one.message
    assert found("C006", "W006") == []
    code, out, _ = command("status")
    assert (code, "the guard is off." in out, "the guard switched off by" in out) == (
        1,
        True,
        True,
    )
    code, out, _ = command("status", "--format", "json")
    (shown,) = json.loads(out)["databases"]
    assert (shown["on"], shown["unattributed"][0]["acts"]) == (False, ["the guard switched off"])
    assert command("acknowledge", "--reason", REASON)[0] == 0
    assert found("C007") == []
    assert command("status")[:2] == (0, "default: the guard is off.\n")


@pytest.mark.usefixtures("guarded")
def test_a_guard_that_is_off_for_a_moment_is_told() -> None:
    with transaction.atomic():
        run("CREATE TEMP TABLE kept AS SELECT * FROM trigger_ops_guard")
        run("DELETE FROM trigger_ops_guard")
        run("INSERT INTO trigger_ops_guard SELECT * FROM kept")
    assert acts() == ["the guard switched off", "the guard switched on"]


# What runs of ours do -----------------------------------------------------------------------------


@pytest.mark.usefixtures("guarded")
def test_what_guard_install_and_remove_write_is_in_the_ledger_and_no_finding(
    settings: Any,
) -> None:
    settings.TRIGGER_OPS = {"POLICIES": {RECEIPT: "four_eyes"}, "SESSION_LONGEST": "2h"}
    guard()
    settings.TRIGGER_OPS = {"POLICIES": {RECEIPT: "session"}}
    guard()
    settings.TRIGGER_OPS = {}
    call_command("migrate", verbosity=0)
    guard(Verb.GUARD_REMOVE)
    written = run("SELECT kind, op FROM trigger_ops_guardchange ORDER BY id")
    assert ("policy", "UPDATE") in written
    assert ("policy", "DELETE") in written
    assert ("guard", "DELETE") in written
    assert acts() == found("C007") == []


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        ("sql", "'SELECT 1'"),
        ("sql, transaction", "'UPDATE trigger_ops_guard', 1"),
        ("sql, began", "'UPDATE trigger_ops_guard', now() - interval '2 days'"),
        ("sql, began", "'UPDATE trigger_ops_guard', now() + interval '2 days'"),
    ],
    ids=["about something else", "another transaction", "older", "newer"],
)
@pytest.mark.usefixtures("guarded")
def test_a_ledger_that_does_not_have_the_statement_answers_for_nothing(
    columns: str, values: str
) -> None:
    """A row that was forged has to say what was done, and stays for good."""
    with transaction.atomic():
        run("UPDATE trigger_ops_guard SET longest = '10 years'")
        run(
            f"INSERT INTO trigger_ops_ledgerentry (run, kind, {columns}) "
            f"VALUES (gen_random_uuid(), 'statement', {values})"
        )
    assert len(acts()) == 1
    with transaction.atomic():
        run("UPDATE trigger_ops_guard SET longest = '9 years'")
        enter("UPDATE trigger_ops_guard SET longest = '9 years'")
    assert len(acts()) == 1


def test_rows_and_changes_of_one_transaction_are_told_together(
    guarded: BaseDatabaseWrapper,
) -> None:
    Receipt.objects.create(number="R-1")
    with transaction.atomic():
        run("UPDATE trigger_ops_guard SET most_rows = 5")
        run("SELECT set_config('pgtrigger.ignore', %s, true)", f"{{{TRIGGER}}}")
        Receipt.objects.update(number="R-2")
    (one,) = found("C007")
    assert (
        f"1 row of public.past_receipt changed, past {TRIGGER}; most_rows of the guard changed from "
        "10000 to 5, by role"
    ) in one.message
    line = command("status")[1]
    assert f"1 row of public.past_receipt past {TRIGGER}; most_rows of the guard" in line
    assert guarded


@pytest.mark.usefixtures("guarded")
def test_many_changes_are_counted() -> None:
    for number in range(9):
        run(f"UPDATE trigger_ops_guard SET most_rows = {number + 1}")
    (one,) = found("C007")
    assert "in 9 transactions: " in one.message
    assert "; 4 more, by role" in one.message
    assert connections["default"]
