"""Reports: what they find, and what they do not mistake for a finding."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pgtrigger
import pytest
from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Customer, Receipt
from demo_site.tutorial.models import SoftDelete, Tracked
from tests.damage import pgid, run
from tests.guard.conftest import guarded, guarded_template
from tests.sessions.conftest import (
    REASON,
    RECEIPT,
    make_database,
    migrated_database,
    second_connection,
)
from trigger_ops import api
from trigger_ops.registry import registered_triggers
from trigger_ops.sessions.reporting import SessionReport

__all__ = [
    "guarded",
    "guarded_template",
    "make_database",
    "migrated_database",
    "second_connection",
]

pytestmark = pytest.mark.usefixtures("guarded")

SOFT_DELETE = "tutorial.SoftDelete:soft_delete"
VERSIONED = "tutorial.Versioned:protect_version_edits"


def report(act: Callable[[], object], *selectors: str) -> SessionReport:
    """Do something in a session; return the report on that."""
    with api.session(*(selectors or (RECEIPT,)), reason=REASON) as running:
        act()
    return api.session_report(running.id)


def in_a_transaction(*acts: Callable[[], object]) -> Callable[[], None]:
    def act() -> None:
        with transaction.atomic():
            for one in acts:
                one()

    return act


def renumber() -> None:
    Receipt.objects.filter(number="A1").update(number="B1")


def renumber_none() -> None:
    Receipt.objects.filter(number="ZZ").update(number="B1")


def delete_all() -> None:
    Receipt.objects.all().delete()


def read() -> None:
    assert list(Receipt.objects.all())
    assert Customer.objects.count() == 0


def write_elsewhere() -> None:
    run("CREATE TABLE elsewhere (id integer)")
    run("INSERT INTO elsewhere SELECT generate_series(1, 10)")
    run("UPDATE elsewhere SET id = id + 1")


def take_back() -> None:
    with contextlib.suppress(LookupError), transaction.atomic():
        renumber()
        raise LookupError


def fail_and_go_on() -> None:
    take_back()
    renumber()


def insert_or_not() -> None:
    run("INSERT INTO past_receipt (id, number) VALUES (1, 'A1') ON CONFLICT (id) DO NOTHING")


def insert_or_update() -> None:
    run(
        "INSERT INTO past_receipt (id, number) SELECT id, 'C1' FROM past_receipt "
        "ON CONFLICT (id) DO UPDATE SET number = excluded.number"
    )


def write_in_a_cte() -> None:
    run("WITH gone AS (DELETE FROM past_receipt RETURNING id) SELECT count(*) FROM gone")


def many() -> None:
    with connections["default"].cursor() as cursor:
        cursor.executemany(
            "UPDATE past_receipt SET number = %s WHERE number = %s", [("B1", "A1"), ("B2", "A2")]
        )


def two_statements() -> None:
    run("UPDATE past_customer SET name = 'x'; UPDATE past_receipt SET number = 'x'")


def history_off() -> None:
    run("UPDATE past_receipt SET number = 'same'")
    run("UPDATE past_receipt SET number = 'same'")


@pytest.mark.parametrize(
    "act",
    [
        *(renumber, renumber_none, delete_all, read, write_elsewhere, take_back, fail_and_go_on),
        *(insert_or_not, insert_or_update, write_in_a_cte, many, two_statements, history_off),
    ],
)
@pytest.mark.parametrize("enclosed", [False, True])
def test_ordinary_work_is_clean(act: Callable[[], object], enclosed: bool) -> None:
    Receipt.objects.bulk_create([Receipt(number="A1"), Receipt(number="A2")])
    Customer.objects.all().delete()
    found = report(in_a_transaction(act) if enclosed else act)
    assert found.findings == ()
    assert found.clean


def test_a_statement_level_trigger_that_was_asked_about_no_row_is_clean() -> None:
    name = pgid("past.Invoice:protect_deletes")
    run("DROP TRIGGER {name} ON past_invoice", name=name)
    run(
        "CREATE TRIGGER {name} AFTER UPDATE ON past_receipt FOR EACH STATEMENT "
        "EXECUTE FUNCTION {name}()",
        name=name,
    )
    found = report(renumber_none, "past.Invoice:protect_deletes")
    assert found.findings == ()


def forge(session: int, *, trigger: str = RECEIPT) -> None:
    """Put on record what an evasion leaves: a decision in a transaction, and no row."""
    run(
        "INSERT INTO trigger_ops_decision (transaction, trigger, session_id)"
        " SELECT transaction, %s, session_id FROM trigger_ops_sessiontransaction"
        " WHERE session_id = %s",
        pgid(trigger),
        session,
    )


def test_a_trigger_that_stood_aside_for_nothing_is_told() -> None:
    Receipt.objects.create(number="A1")
    found = report(read)
    forge(found.session.id)
    (finding,) = api.session_report(found.session.id).findings
    assert finding.startswith(f"{RECEIPT} stood aside in transaction")
    assert "no row of it is on record" in finding


def test_rows_that_were_written_past_django_are_told() -> None:
    Receipt.objects.create(number="A1")

    def past_django() -> None:
        with connections["default"].connection.cursor() as cursor:
            cursor.execute("UPDATE past_receipt SET number = 'B1'")

    (finding,) = report(in_a_transaction(past_django)).findings
    assert finding.startswith("1 row was written in transaction ")
    assert "without a statement on record" in finding


def test_a_statement_that_wrote_more_than_is_on_record_is_told() -> None:
    Receipt.objects.bulk_create([Receipt(number="A1"), Receipt(number="A1")])

    def hidden() -> None:
        run("ALTER TABLE past_receipt DISABLE TRIGGER trigger_ops_witness")
        renumber()
        run("ALTER TABLE past_receipt ENABLE ALWAYS TRIGGER trigger_ops_witness")

    findings = report(in_a_transaction(hidden)).findings
    assert any(
        one.endswith("wrote 2 rows of public.past_receipt, and 0 are on record.")
        for one in findings
    )
    assert any("no row of it is on record" in one for one in findings)


def test_rows_of_nobodys_in_the_same_transaction_are_told() -> None:
    Receipt.objects.create(number="A1")
    SoftDelete.objects.create()

    def beside_it() -> None:
        renumber()
        with pgtrigger.ignore(SOFT_DELETE):
            SoftDelete.objects.all().delete()

    findings = report(in_a_transaction(beside_it)).findings
    assert any(
        f"{SOFT_DELETE} stood aside" in one and "without being named" in one for one in findings
    )


def test_more_rows_than_allowed_are_told() -> None:
    Receipt.objects.create(number="A1")
    found = report(renumber)
    run(
        'INSERT INTO trigger_ops_change (session_id, number, transaction, schema, "table", op,'
        " cause) SELECT %s, one, 1, 'public', 'past_receipt', 'UPDATE', 'session'"
        " FROM generate_series(2, 10001) one",
        found.session.id,
    )
    findings = api.session_report(found.session.id).findings
    assert "10,001 rows were written, and 10,000 allowed at most." in findings
    assert any("were written after the session's end." in one for one in findings)


def test_a_hard_delete_is_told() -> None:
    SoftDelete.objects.create()
    SoftDelete.objects.create()
    found = report(lambda: SoftDelete.objects.all().delete(), SOFT_DELETE)
    assert found.findings == (
        (
            f"Hard delete of 2 rows of public.tutorial_softdelete: {SOFT_DELETE}, which only "
            "marks them, stood aside."
        ),
    )
    assert found.rows == 2


def test_history_that_was_not_written_is_told() -> None:
    tracked = Tracked.objects.create(int_field=1)
    events = Tracked.pgh_event_model.objects
    before = events.count()
    uris = [one.uri for one in registered_triggers() if one.uri.startswith("tutorial.Tracked:")]
    found = report(lambda: Tracked.objects.filter(pk=tracked.pk).update(int_field=2), *uris)
    assert events.count() == before
    (finding,) = found.findings
    (uri,) = [one for one in uris if finding.startswith(f"{one} wrote no history in transaction ")]
    assert "update" in uri


def test_what_failed_and_what_was_refused_is_told() -> None:
    def fail() -> None:
        for statement in ("SELECT 1 / 0", "SELECT 1 / 0", "SELECT nothing"):
            with contextlib.suppress(DatabaseError):
                run(statement)

    assert report(fail).findings == (
        "2 statements failed with SQLSTATE 22012.",
        "1 statement failed with SQLSTATE 42703.",
    )


def test_a_session_that_goes_on_is_told_unless_that_is_known() -> None:
    session = api.open_session(RECEIPT, reason=REASON)
    (finding,) = api.session_report(session.id).findings
    assert finding.startswith("The session is active still")
    assert api.session_report(session.id, at_work=True).clean


def test_nested_sessions_are_clean_each(guarded: BaseDatabaseWrapper) -> None:
    Receipt.objects.create(number="A1")
    SoftDelete.objects.create()
    with api.session(RECEIPT, reason=REASON) as outer, transaction.atomic():
        Receipt.objects.update(number="B1")
        with api.session("past.Customer", reason=REASON) as inner:
            Receipt.objects.update(number="C1")
    assert api.session_report(outer.id).clean
    assert api.session_report(inner.id).clean


def test_many_sessions_are_reported_on_with_as_many_queries_as_one(
    guarded: BaseDatabaseWrapper, django_assert_num_queries: Callable[..., object]
) -> None:
    from django.test.utils import CaptureQueriesContext

    Receipt.objects.create(number="A1")
    sessions = [report(renumber).session for _ in range(4)]
    counts = []
    for some in (sessions[:1], sessions):
        with CaptureQueriesContext(guarded) as captured:
            assert len(api.session_reports(some)) == len(some)
        counts.append(len(captured.captured_queries))
    assert counts[0] == counts[1]


# Rows of statements -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "rows"),
    [
        (lambda: Receipt.objects.filter(number="A1").update(number="B1"), [1]),
        (lambda: Receipt.objects.filter(number="none").update(number="B1"), [0]),
        (lambda: Receipt.objects.count(), [None]),
        (in_a_transaction(renumber, renumber), [1, 0]),
    ],
)
def test_a_statement_of_its_own_transaction_has_the_rows_of_that(
    act: Callable[[], object], rows: list[int | None]
) -> None:
    Receipt.objects.create(number="A1")
    with api.session(RECEIPT, reason=REASON) as running:
        act()
    account = api.show_session(running.id)
    assert [one.rows for one in account.statements] == rows
