"""Evidence only grows, whoever asks; what is told and acknowledged is somebody's, with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.apps import apps
from django.core import serializers
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.database.acts import (
    RECEIPT,
    a_receipt,
    close,
    do,
    ignoring,
    in_session,
    one,
    open_session,
    refused,
    transaction,
)
from tests.weaknesses.conftest import _maintain, default_at
from trigger_ops.models import Review, Session

EVIDENCE = (
    "review",
    "sessionevent",
    "sessiontransaction",
    "sessionstatement",
    "decision",
    "change",
    "acknowledgement",
    "guardchange",
)
"""Tables whose rows are never changed; those of sessions change by rules of their own."""


def fill(connection: BaseDatabaseWrapper) -> None:
    """Put at least one row into each table of evidence."""
    a_receipt(connection)
    session = open_session(connection, RECEIPT, needs=1)
    do(connection, "SELECT trigger_ops_review(%s, 'user:bob', '', 'approve', '')", session)
    with transaction(connection):
        do(connection, "SELECT trigger_ops_enter(%s, false, 'UPDATE 1')", str(session))
        do(connection, "UPDATE past_receipt SET number = 'x'")
        record(connection, session, {"template": "UPDATE 2"})
    with transaction(connection):
        do(connection, ignoring(RECEIPT))
        do(connection, "UPDATE past_receipt SET number = 'y'")
    do(connection, "SELECT trigger_ops_acknowledge(ARRAY[1], 'user:bob', 'known')")


def contents(connection: BaseDatabaseWrapper) -> dict[str, list[str]]:
    return {
        table: [
            text
            for (text,) in do(
                connection, f"SELECT t::text FROM trigger_ops_{table} t ORDER BY t.id"
            )
        ]
        for table in (*EVIDENCE, "session")
    }


# What is refused ----------------------------------------------------------------------------------

TRICKS = [
    "UPDATE {table} SET id = id",
    "UPDATE {table} SET id = id WHERE false",
    "UPDATE ONLY {table} SET id = id",
    "DELETE FROM {table}",
    "DELETE FROM {table} WHERE false",
    "TRUNCATE {table}",
    "TRUNCATE {table} CASCADE",
    "WITH gone AS (DELETE FROM {table} RETURNING 1) SELECT count(*) FROM gone",
    "MERGE INTO {table} t USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
    "SET LOCAL session_replication_role = replica; DELETE FROM {table}",
    "SET LOCAL session_replication_role = replica; TRUNCATE {table}",
    "INSERT INTO {table} SELECT * FROM {table} LIMIT 1 ON CONFLICT (id) DO UPDATE SET id = 99",
]


def test_no_statement_changes_what_is_on_record(guarded: BaseDatabaseWrapper) -> None:
    fill(guarded)
    before = contents(guarded)
    assert all(before.values())
    for table in (*EVIDENCE, "session"):
        for trick in TRICKS:
            statement = trick.format(table=f"trigger_ops_{table}")
            if table == "session" and ("UPDATE" in statement or statement.endswith("_session")):
                statement = "DELETE FROM trigger_ops_session"  # the rest is for its own rules
            with refused("TO013"), transaction(guarded):
                do(guarded, statement)
    after = contents(guarded)
    # Each attempt is on record itself.
    denials = after["sessionevent"][len(before["sessionevent"]) :]
    assert denials
    assert all(",refused," in one for one in denials)
    after["sessionevent"] = after["sessionevent"][: len(before["sessionevent"])]
    assert after == before


def test_an_update_of_all_sessions_is_the_state_machines(guarded: BaseDatabaseWrapper) -> None:
    fill(guarded)
    with refused("TO016"):
        do(guarded, "UPDATE trigger_ops_session SET id = id")


@pytest.mark.parametrize("table", ["guard", "policy", *EVIDENCE, "session"])
def test_while_the_guard_is_on_no_table_of_ours_is_emptied(
    guarded: BaseDatabaseWrapper, table: str
) -> None:
    """Not even an empty one: the same statement might empty a watched table before it."""
    with refused("TO013"):
        do(guarded, f"TRUNCATE trigger_ops_{table}, past_receipt CASCADE")


# flush --------------------------------------------------------------------------------------------


def flush(connection: BaseDatabaseWrapper) -> None:
    call_command("flush", interactive=False, verbosity=0, database=connection.alias)


def test_flush_is_refused_while_the_guard_is_on(guarded: BaseDatabaseWrapper) -> None:
    a_receipt(guarded)
    with pytest.raises(CommandError):
        flush(guarded)
    assert one(guarded, "SELECT count(*) FROM past_receipt") == 1
    assert one(guarded, "SELECT count(*) FROM trigger_ops_guard") == 1


def test_flush_works_where_there_is_no_guard_and_no_evidence(
    own_database: BaseDatabaseWrapper,
) -> None:
    a_receipt(own_database)
    flush(own_database)
    assert one(own_database, "SELECT count(*) FROM past_receipt") == 0
    open_session(own_database, RECEIPT)
    with pytest.raises(CommandError):
        flush(own_database)


def test_flush_empties_a_test_database_whatever_is_on_record(
    guarded: BaseDatabaseWrapper, guarded_template: str
) -> None:
    name = f"test_{guarded.settings_dict['NAME']}"
    connections.close_all()
    guarded.close()
    _maintain("CREATE DATABASE {name} TEMPLATE {template}", name, template=guarded_template)
    try:
        with default_at(NAME=name) as connection:
            fill(connection)
            flush(connection)
            assert contents(connection) == {table: [] for table in (*EVIDENCE, "session")}
    finally:
        connections.close_all()
        _maintain("DROP DATABASE {name} WITH (FORCE)", name)


# Unapplied migrations -------------------------------------------------------------------------------


def unapply() -> None:
    call_command("migrate", "trigger_ops", "0002", interactive=False, verbosity=0)


def test_a_migration_is_not_unapplied_over_a_guard_or_evidence(
    own_database: BaseDatabaseWrapper,
) -> None:
    policies = "INSERT INTO trigger_ops_guard (policy) VALUES ('record')"
    do(own_database, policies)
    with pytest.raises(CommandError, match="guard remove first"):
        unapply()
    do(own_database, "DELETE FROM trigger_ops_guard")
    with pytest.raises(CommandError, match='and "trigger_ops_guardchange" has rows'):
        unapply()
    assert one(own_database, "SELECT count(*) FROM trigger_ops_guardchange") == 2


def test_a_migration_is_not_unapplied_over_what_was_denied(
    own_database: BaseDatabaseWrapper,
) -> None:
    do(own_database, "SELECT trigger_ops_tell(NULL, 'refused', 'user:eve', '{}')")
    with pytest.raises(CommandError, match='and "trigger_ops_sessionevent" has rows'):
        unapply()
    assert one(own_database, "SELECT count(*) FROM trigger_ops_sessionevent") == 1


def test_a_migration_without_evidence_is_unapplied_and_applied_again(
    own_database: BaseDatabaseWrapper,
) -> None:
    unapply()
    assert one(own_database, "SELECT to_regclass('trigger_ops_session')") is None
    call_command("migrate", "trigger_ops", interactive=False, verbosity=0)
    open_session(own_database, RECEIPT)
    with refused("TO013"):
        do(own_database, "DELETE FROM trigger_ops_session")


# What Django does ---------------------------------------------------------------------------------


def test_loaddata_adds_rows_of_evidence_and_changes_none(
    guarded: BaseDatabaseWrapper, own_database_of_another: Callable[[], BaseDatabaseWrapper]
) -> None:
    fill(guarded)
    close(guarded, open_session(guarded, RECEIPT), "ended")
    open_session(guarded, RECEIPT, needs=1)
    models = [apps.get_model("trigger_ops", name) for name in ("session", *EVIDENCE)]
    text = serializers.serialize("json", [row for model in models for row in model.objects.all()])
    before = contents(guarded)
    with own_database_of_another() as another:
        for entry in serializers.deserialize("json", text):
            entry.save()
        now = contents(another)
        # Only those that were not over are: nothing goes on here.
        states = "SELECT state FROM trigger_ops_session ORDER BY id"
        assert do(another, states) == [("abandoned",), ("ended",), ("abandoned",)]
        # JSON keeps milliseconds alone.
        assert {key: len(rows) for key, rows in now.items()} == {
            key: len(rows) for key, rows in before.items()
        }
        review = Review.objects.get()
        assert (review.person, review.remark) == ("user:bob", "")
    with refused("TO013"):
        for entry in serializers.deserialize("json", text):
            if not isinstance(entry.object, Session):
                entry.save()


def test_a_review_with_a_key_is_looked_for_first(guarded: BaseDatabaseWrapper) -> None:
    session = open_session(guarded, RECEIPT, needs=1)
    review = Review(pk=77, session_id=session, reviewer="user:bob", verdict="approve")
    review.save()
    assert Session.objects.get().state == "active"
    review.remark = "another"
    with refused("TO013"):
        review.save()


@pytest.fixture
def own_database_of_another(
    make_database: Callable[..., str],
) -> Callable[[], BaseDatabaseWrapper]:
    """Return a function that lets `default` be one more database of the test's own."""
    name = make_database()
    return lambda: default_at(NAME=name)


# Telling and acknowledging ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        *("requested", "approved", "activated", "extended", "denied"),
        *("ended", "revoked", "expired", "abandoned", " Revoked"),
    ],
)
def test_what_the_database_sees_to_cannot_be_told(guarded: BaseDatabaseWrapper, kind: str) -> None:
    session = open_session(guarded, RECEIPT, needs=1)
    with refused("TO011"):
        do(guarded, "SELECT trigger_ops_tell(%s, %s, 'user:eve', '{}')", session, kind)
    do(guarded, "SELECT trigger_ops_tell(%s, 'killed', 'user:bob', NULL)", session)
    do(guarded, "SELECT trigger_ops_tell(NULL, 'refused', 'user:eve', '{\"code\": \"TO001\"}')")
    told = do(
        guarded,
        "SELECT session_id, kind, detail::text FROM trigger_ops_sessionevent "
        "WHERE detail ->> 'code' IS DISTINCT FROM 'TO011' ORDER BY id OFFSET 1",
    )
    assert told == [(session, "killed", "{}"), (None, "refused", '{"code": "TO001"}')]


def test_events_tell_of_a_session_from_beginning_to_end(guarded: BaseDatabaseWrapper) -> None:
    session = open_session(guarded, RECEIPT, needs=1)
    do(guarded, "SELECT trigger_ops_review(%s, 'user:bob', '', 'approve', 'fine')", session)
    do(guarded, "SELECT trigger_ops_extend(%s, 'user:cy', '1 minute')", session)
    close(guarded, session)
    found = do(guarded, "SELECT kind, actor FROM trigger_ops_sessionevent ORDER BY id")
    assert found == [
        ("requested", "user:ada"),
        ("approved", "user:bob"),
        ("activated", "user:bob"),
        ("extended", "user:cy"),
        ("revoked", "user:bob"),
    ]


@pytest.mark.parametrize(
    ("actor", "reason"),
    [("user:bob", ""), ("user:bob", " \t"), ("", "known"), (None, "known"), ("user:bob", None)],
)
def test_nothing_is_acknowledged_by_nobody_or_for_no_reason(
    guarded: BaseDatabaseWrapper, actor: str | None, reason: str | None
) -> None:
    with refused("TO011"):
        do(guarded, "SELECT trigger_ops_acknowledge(ARRAY[1], %s, %s)", actor, reason)


def record(connection: BaseDatabaseWrapper, session: int, *statements: object) -> None:
    do(connection, "SELECT trigger_ops_record(%s, %s)", session, json.dumps(statements))


def test_statements_belong_to_this_transaction_or_failed(guarded: BaseDatabaseWrapper) -> None:
    session = open_session(guarded, RECEIPT)
    with in_session(guarded, session):
        this = one(guarded, "SELECT pg_current_xact_id()::text::bigint")
        record(
            guarded,
            session,
            {"template": "SELECT 1"},
            {"template": "SELECT 2", "error": "", "rows": 3, "took_ms": 0.5},
            {"template": "SELECT 3", "error": "42501", "transaction": 7},
            {"template": "SELECT 4", "transaction": 7, "at": "2020-01-01 00:00+00"},
        )
    found = do(
        guarded,
        "SELECT transaction, template, rows, took_ms, error, at > now() - interval '1 hour' "
        "FROM trigger_ops_sessionstatement ORDER BY id",
    )
    assert found == [
        (this, "SELECT 1", None, None, "", True),
        (this, "SELECT 2", 3, 0.5, "", True),
        (None, "SELECT 3", None, None, "42501", True),
        (this, "SELECT 4", None, None, "", True),
    ]


def test_a_statement_is_not_recorded_where_it_cannot_have_been_sent(
    guarded: BaseDatabaseWrapper,
) -> None:
    """Neither for a transaction that entered another session or none, nor after the end."""
    a_receipt(guarded)
    session, other = open_session(guarded, RECEIPT), open_session(guarded, RECEIPT)
    with in_session(guarded, session):
        this = one(guarded, "SELECT pg_current_xact_id()::text::bigint")
        do(guarded, "UPDATE past_receipt SET number = 'x'")
        record(guarded, other, {"template": "SELECT 1", "rows": 1})
    forged = {"transaction": this, "template": "UPDATE past_receipt", "rows": 1}
    record(guarded, session, forged)
    close(guarded, session, "ended")
    record(guarded, session, forged)
    record(guarded, 99, forged)
    with transaction(guarded):
        record(guarded, session, forged)
    assert one(guarded, "SELECT count(*) FROM trigger_ops_sessionstatement") == 0


def test_a_failure_is_recorded_soon_after_the_end_and_by_its_own_role(
    guarded: BaseDatabaseWrapper,
) -> None:
    failed = {"template": "SELECT 1", "error": "42501"}
    session = open_session(guarded, RECEIPT)
    close(guarded, session, "ended")
    record(guarded, session, failed)
    counted = "SELECT count(*) FROM trigger_ops_sessionstatement"
    assert one(guarded, counted) == 1
    # One that was over two hours ago, and one of somebody else's.
    for ended, role in (("2 hours", "session_user"), ("0", "'somebody'")):
        do(
            guarded,
            "INSERT INTO trigger_ops_session (id, state, uris, triggers, reason, surface, opener, "
            "lasts, idle, longest, waits, most_rows, most_extensions, role, ended, expires) "
            f"SELECT max(id) + 1, 'ended', '[]', '[]', 'r', 'run', 'o', '1 h', '1 h', '1 h', '1 h', 1, 1, "
            f"{role}, now() - interval '{ended}', now() FROM trigger_ops_session",
        )
    for number in (session + 1, session + 2):
        record(guarded, number, failed)
    assert one(guarded, counted) == 1
