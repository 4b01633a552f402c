"""What went past triggers outside any session is told until somebody says what came of it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Receipt
from tests.damage import make_role, pgid, run
from tests.guard.parts import put_gate, put_witness
from trigger_ops import api
from trigger_ops.exceptions import Refused, SessionRefused
from trigger_ops.ledger.guard import guard_home, read_guard, read_unattributed
from trigger_ops.states import ExitCode, Policy

RECEIPT = "past.Receipt:append_only"
REASON = "INC-12: a wrong receipt, taken out by hand"


@pytest.fixture
def watched(own_database: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """Let `default` have a gate, and a witness on one table."""
    put_gate()
    put_witness()
    return own_database


def delete_one() -> int:
    """Delete a receipt past its trigger; return the number of the transaction."""
    receipt = Receipt.objects.create(number="R-1")
    with transaction.atomic():
        run("SELECT set_config('pgtrigger.ignore', %s, true)", f"{{{pgid(RECEIPT)}}}")
        assert Receipt.objects.filter(pk=receipt.pk).delete()[0] == 1
        (number,) = run("SELECT pg_current_xact_id()::text::bigint")[0]
    return int(number)


def guard(*arguments: str, **options: Any) -> tuple[int, str, str]:
    """Run a verb of ``pgtrigger guard``; return its code and what it wrote."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("pgtrigger", "guard", *arguments, stdout=out, stderr=err, **options)
    except CommandError as error:
        return error.returncode, out.getvalue(), f"{err.getvalue()}{error}"
    return 0, out.getvalue(), err.getvalue()


def open_transactions() -> set[int]:
    return {one.transaction for one in api.unattributed("default")}


# What is read -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_database")
def test_the_guard_is_off_until_its_row_says_otherwise() -> None:
    assert guard_home("default") == "public"
    assert read_guard("default", "public") is None
    put_gate()
    run("INSERT INTO trigger_ops_policy VALUES ('pgtrigger_a_00001', 'a.A:a', 'four_eyes', 2)")
    state = read_guard("default", "public")
    assert state is not None
    assert (state.home, state.policy, state.ddl) == ("public", Policy.RECORD, False)
    assert dict(state.policies) == {"pgtrigger_a_00001": ("a.A:a", Policy.FOUR_EYES, 2)}
    assert state.since.tzinfo is not None


@pytest.mark.usefixtures("own_database")
def test_without_the_tables_there_is_no_home() -> None:
    run("DROP TABLE trigger_ops_acknowledgement")
    assert guard_home("default") is None
    with pytest.raises(Refused, match=r"run manage\.py migrate trigger_ops"):
        api.unattributed("default")
    assert api.guard_status("default").missing
    code, out, _ = guard("status")
    assert (code, out.strip().endswith("run manage.py migrate.")) == (0, True)


@pytest.mark.usefixtures("watched")
def test_a_transaction_is_told_with_all_that_it_did() -> None:
    number = delete_one()
    (one,) = read_unattributed("default", "public")
    assert (one.transaction, one.rows, one.tables) == (number, 1, ("public.past_receipt",))
    assert (one.triggers, one.causes) == ((pgid(RECEIPT),), ("ignore",))
    assert one.role == run("SELECT session_user::text")[0][0]
    assert one.first <= one.last


@pytest.mark.usefixtures("watched")
def test_a_trigger_that_stood_aside_is_told_even_where_no_row_is_on_record() -> None:
    run("DROP TRIGGER trigger_ops_witness ON past_receipt")
    delete_one()
    (one,) = read_unattributed("default", "public")
    assert (one.rows, one.tables, one.triggers) == (0, (), (pgid(RECEIPT),))


@pytest.mark.usefixtures("watched")
def test_the_newest_come_first_and_the_limit_holds() -> None:
    numbers = [delete_one() for _ in range(3)]
    found = [one.transaction for one in read_unattributed("default", "public", limit=2)]
    assert found == numbers[:0:-1]


# What is acknowledged -----------------------------------------------------------------------------


@pytest.mark.usefixtures("watched")
def test_an_acknowledgement_covers_what_is_there_and_nothing_newer() -> None:
    receipt = Receipt.objects.create(number="R-2")
    with transaction.atomic():
        run("SELECT set_config('pgtrigger.ignore', %s, true)", f"{{{pgid(RECEIPT)}}}")
        Receipt.objects.filter(pk=receipt.pk).update(number="R-3")
        (number,) = run("SELECT pg_current_xact_id()::text::bigint")[0]
        assert api.acknowledge("default", [number], actor="user:ada", reason=REASON) == 1
        assert open_transactions() == set()
        Receipt.objects.filter(pk=receipt.pk).update(number="R-4")
    (one,) = api.unattributed("default")
    assert (one.transaction, one.rows) == (number, 1)


@pytest.mark.usefixtures("watched")
def test_an_acknowledgement_takes_nothing_away() -> None:
    number = delete_one()
    tables = ("trigger_ops_change", "trigger_ops_decision")
    before = [run(f"SELECT to_jsonb(t)::text FROM {one} t ORDER BY 1") for one in tables]
    assert api.acknowledge("default", [number], actor="user:ada", reason=REASON) == 1
    after = [run(f"SELECT to_jsonb(t)::text FROM {one} t ORDER BY 1") for one in tables]
    assert after == before
    assert all(before)
    said = run("SELECT transaction, actor, reason FROM trigger_ops_acknowledgement")
    assert said == [(number, "user:ada", REASON)]


@pytest.mark.usefixtures("watched")
def test_all_or_only_some_are_acknowledged() -> None:
    first, second, third = delete_one(), delete_one(), delete_one()
    code, out, err = guard("acknowledge", str(first), "--reason", REASON)
    assert (code, "1 transaction of default acknowledged." in err) == (0, True)
    assert [line.split()[1] for line in out.splitlines()] == [str(first)]
    assert open_transactions() == {second, third}
    code, out, err = guard("acknowledge", "--reason", REASON)
    assert (code, "2 transactions of default acknowledged." in err) == (0, True)
    assert open_transactions() == set()
    rows = run("SELECT DISTINCT reason, actor ~ '^os:.+@.' FROM trigger_ops_acknowledgement")
    assert rows == [(REASON, True)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "takes a reason of at least 10 letters"),
        (["--reason", "   "], "takes a reason of at least 10 letters"),
        (["--reason", "too short"], "takes a reason of at least 10 letters"),
        (["--reason", "aaaaaaaaaaaa"], "repeats itself"),
        (["--reason", REASON, "1"], "Nothing is to be acknowledged in transaction 1"),
    ],
)
@pytest.mark.usefixtures("watched")
def test_what_is_asked_badly_is_refused_as_usage(arguments: list[str], says: str) -> None:
    number = delete_one()
    code, _, err = guard("acknowledge", *arguments)
    assert (code, says in err) == (int(ExitCode.USAGE), True), err
    assert open_transactions() == {number}


@pytest.mark.usefixtures("own_database")
def test_where_nothing_went_past_there_is_nothing_to_acknowledge() -> None:
    code, out, err = guard("acknowledge", "--reason", REASON)
    assert (code, out, err) == (0, "", "There is nothing to acknowledge.\n")
    assert api.acknowledge("default", [], actor="user:ada", reason=REASON) == 0
    with pytest.raises(SessionRefused):
        api.acknowledge("default", [], actor="user:ada", reason="")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "code"), [("yes\n", 0), ("no\n", 4), ("", 4)], ids=["yes", "no", "nothing"]
)
@pytest.mark.usefixtures("watched")
def test_on_a_terminal_it_asks(answer: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    number = delete_one()
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    given, out, err = guard("acknowledge", "--reason", REASON)
    assert given == code
    assert str(number) in out
    assert "Acknowledge this?" in err
    assert open_transactions() == (set() if code == 0 else {number})


@pytest.mark.usefixtures("watched")
def test_whoever_may_not_is_refused() -> None:
    number = delete_one()
    role = make_role("outsider")
    run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", role=role)
    run("SET ROLE {role}", role=role)
    try:
        code, _, err = guard("acknowledge", "--reason", REASON)
        assert (code, "may not acknowledge" in err) == (int(ExitCode.REFUSED), True), err
        run("RESET ROLE")
        run("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}", role=role)
        run("SET ROLE {role}", role=role)
        code, _, err = guard("acknowledge", "--reason", REASON)
        assert (code, "run GRANT SELECT ON" in err) == (int(ExitCode.REFUSED), True), err
    finally:
        run("RESET ROLE")
        run("DROP OWNED BY {role}", role=role)
        run("DROP ROLE {role}", role=role)
    assert open_transactions() == {number}


# Where it cannot be asked -------------------------------------------------------------------------


@pytest.mark.usefixtures("own_database")
def test_status_of_a_guard_that_is_off() -> None:
    assert guard("status")[:2] == (0, "default: the guard is off.\n")


@pytest.mark.usefixtures("own_database")
def test_status_of_a_database_that_is_not_postgresql_is_incomplete() -> None:
    code, out, err = guard("status", "-d", "lite")
    assert (code, out) == (int(ExitCode.INCOMPLETE), "")
    assert '"lite" is no PostgreSQL database' in err


@pytest.mark.parametrize("verb", ["status", "acknowledge"])
def test_an_alias_that_does_not_exist_is_a_usage_error(verb: str) -> None:
    arguments = ["--reason", REASON] if verb == "acknowledge" else []
    code, _, err = guard(verb, "-d", "defualt", *arguments)
    assert (code, 'did you mean "default"?' in err) == (int(ExitCode.USAGE), True)
