"""Who may do what: a role that does not own our tables ("split"), and one that does ("single")."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.damage import pgid
from tests.database.acts import (
    RECEIPT,
    Connect,
    Row,
    a_receipt,
    do,
    enter,
    in_session,
    one,
    open_session,
    receipts,
    refused,
    rows_on_record,
    transaction,
)
from tests.guard.conftest import guard
from trigger_ops.sql.functions import PUBLIC, expected_functions

TABLES = (
    *("session", "review", "policy", "guard", "sessionevent", "sessiontransaction"),
    *("sessionstatement", "decision", "change", "acknowledgement"),
)
VERBS = ("open", "review", "extend", "close", "tell", "record", "acknowledge")
EXECUTABLE = "SELECT proname FROM pg_proc WHERE has_function_privilege(oid, 'EXECUTE')"
UPDATE = "UPDATE past_receipt SET number = 'changed'"


@dataclass(frozen=True)
class Split:
    """A database whose tables belong to one role while another works with them."""

    owner: BaseDatabaseWrapper
    app: BaseDatabaseWrapper
    role: str


@pytest.fixture
def split(guarded: BaseDatabaseWrapper, second_connection: Connect) -> Iterator[Split]:
    """Let an app role write the tables of the project, and not have any right on ours."""
    role = f"app_{guarded.settings_dict['NAME']}"
    do(guarded, f"CREATE ROLE {role} LOGIN PASSWORD 'app'")
    do(guarded, f"GRANT SELECT, INSERT, UPDATE, DELETE ON past_receipt, past_customer TO {role}")
    app = second_connection(USER=role, PASSWORD="app")
    yield Split(guarded, app, role)
    app.close()
    do(guarded, f"DROP OWNED BY {role}; DROP ROLE {role}")


def signatures(names: set[str]) -> list[str]:
    found = [
        one
        for file in ("sessions", "guard")
        for one in expected_functions(file, home="public")
        if one.name in names
    ]
    assert len(found) == len(names)
    return [f"{one.name}({one.arguments})" for one in found]


def let(split: Split) -> None:
    """Give the app role what TRIGGER_OPS["APP_ROLES"] gives."""
    tables = ", ".join(f"trigger_ops_{table}" for table in TABLES)
    verbs = ", ".join(signatures({f"trigger_ops_{verb}" for verb in VERBS}))
    do(split.owner, f"GRANT SELECT ON {tables} TO {split.role}")
    do(split.owner, f"GRANT EXECUTE ON FUNCTION {verbs} TO {split.role}")


# Split (acceptance 28) ----------------------------------------------------------------------------

WRITES = (
    "INSERT INTO {} DEFAULT VALUES",
    "UPDATE {} SET {} = {}",
    "DELETE FROM {}",
    "TRUNCATE {}",
    "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
    "ALTER TABLE {} DISABLE TRIGGER ALL",
    "DROP TABLE {}",
    "CREATE TRIGGER t AFTER INSERT ON {} EXECUTE FUNCTION trigger_ops_evidence_guard()",
    "CREATE RULE r AS ON INSERT TO {} DO INSTEAD NOTHING",
)


@pytest.mark.parametrize("lets", [False, True], ids=["no rights", "APP_ROLES"])
def test_the_app_role_writes_none_of_our_tables(split: Split, *, lets: bool) -> None:
    if lets:
        let(split)
    open_session(split.owner, RECEIPT)
    for table in TABLES:
        name = f"trigger_ops_{table}"
        key = {"policy": "trigger", "guard": "one"}.get(table, "id")
        for write in WRITES:
            with refused("42501"), transaction(split.app):
                do(split.app, write.format(name, key, key))
        if lets:
            do(split.app, f"SELECT * FROM {name}")
        else:
            with refused("42501"):
                do(split.app, f"SELECT * FROM {name}")


def test_a_function_is_for_everybody_only_where_it_judges_who_calls(split: Split) -> None:
    ours = {
        one.name
        for file in ("sessions", "guard")
        for one in expected_functions(file, home="public")
    }
    assert {name for (name,) in do(split.app, EXECUTABLE)} & ours == PUBLIC
    for text in (
        "SELECT trigger_ops_open('{}')",
        "SELECT trigger_ops_review(1, 'user:eve', '', 'approve', '')",
        "SELECT trigger_ops_extend(1, 'user:eve', '1 hour')",
        "SELECT trigger_ops_close(1, 'ended', 'user:eve', '')",
        "SELECT trigger_ops_tell(1, 'killed', 'user:eve', '{}')",
        "SELECT trigger_ops_record(1, '[]')",
        "SELECT trigger_ops_acknowledge(ARRAY[1], 'user:eve', 'x')",
    ):
        with refused("42501"):
            do(split.app, text)


def test_no_function_of_ours_writes_for_a_table_of_somebody_else(split: Split) -> None:
    """They are SECURITY DEFINER: on a trigger of one's own they would write what one likes."""
    do(split.owner, f"GRANT CREATE ON SCHEMA public TO {split.role}")
    do(
        split.app,
        "CREATE TABLE forged (session_id bigint, verdict text, reviewer text, reviewer_key text, "
        "remark text)",
    )
    functions = [
        one.name
        for file in ("sessions", "guard")
        for one in expected_functions(file, home="public")
        if one.returns == "trigger"
    ]
    assert len(functions) == 9
    for function in functions:
        with refused("42501"):
            do(
                split.app,
                "CREATE TRIGGER a BEFORE INSERT ON forged FOR EACH ROW "
                f"EXECUTE FUNCTION {function}()",
            )


def test_the_owner_of_a_partitioned_table_executes_its_witness_and_writes_none_of_our_tables(
    split: Split,
) -> None:
    do(split.owner, f"ALTER TABLE awkward_measurement OWNER TO {split.role}")
    assert [step.step.uri for step in guard().changed] == ["public.the guard's rights"]
    ours = {name for (name,) in do(split.app, EXECUTABLE) if name.startswith("trigger_ops_")}
    assert ours - PUBLIC == {"trigger_ops_witness_row"}
    for table in TABLES:
        for write in (*WRITES[:1], *WRITES[2:]):
            with refused("42501"), transaction(split.app):
                do(split.app, write.format(f"trigger_ops_{table}"))


def test_the_app_role_works_in_sessions_and_cannot_but_leave_a_record(split: Split) -> None:
    let(split)
    key = a_receipt(split.app)
    with refused("P0001"):
        do(split.app, UPDATE)
    session = open_session(split.app, RECEIPT, needs=1)
    with refused("TO012"):
        do(
            split.app,
            "SELECT trigger_ops_review(%s, 'user:ADA', '', 'approve', '')",
            session,
        )
    do(split.app, "SELECT trigger_ops_review(%s, 'user:bob', '', 'approve', '')", session)
    with in_session(split.app, session):
        do(split.app, UPDATE)
    old, new = {"id": key, "number": "r1"}, {"id": key, "number": "changed"}
    assert rows_on_record(split.app) == [Row(session, "past_receipt", "UPDATE", old, new)]
    who = do(split.app, "SELECT role, pid FROM trigger_ops_sessiontransaction")
    assert who == [(split.role, one(split.app, "SELECT pg_backend_pid()"))]
    do(split.app, "SELECT trigger_ops_close(%s, 'ended', 'user:ada', '')", session)


def test_a_role_without_any_right_on_ours_is_recorded_all_the_same(split: Split) -> None:
    a_receipt(split.app)
    with transaction(split.app):
        do(split.app, f"SELECT set_config('pgtrigger.ignore', '{{{pgid(RECEIPT)}}}', true)")
        do(split.app, UPDATE)
    (row,) = rows_on_record(split.owner)
    assert (row.session, row.cause) == (None, "ignore")
    assert do(split.owner, "SELECT role FROM trigger_ops_change") == [(split.role,)]


def test_a_session_of_the_owner_is_none_of_the_apps(split: Split) -> None:
    a_receipt(split.app)
    session = open_session(split.owner, RECEIPT)
    with refused("TO003"), transaction(split.app):
        enter(split.app, session)
    with refused("42501"):
        do(split.app, "SET session_replication_role = replica")
    with refused("42501"):
        do(split.app, "ALTER TABLE past_receipt DISABLE TRIGGER ALL")
    with refused("42501"):
        do(split.app, "TRUNCATE past_receipt")
    assert receipts(split.owner) == ["r1"]


def test_a_temporary_table_hides_none_of_ours(split: Split) -> None:
    let(split)
    a_receipt(split.app)
    session = open_session(split.app, RECEIPT)
    for table in TABLES:
        do(split.app, f"CREATE TEMP TABLE trigger_ops_{table} (LIKE public.trigger_ops_{table})")
    with in_session(split.app, session):
        do(split.app, UPDATE)
    assert [row.session for row in rows_on_record(split.owner)] == [session]


# Single -------------------------------------------------------------------------------------------


@pytest.fixture
def owner(
    guarded: BaseDatabaseWrapper, second_connection: Connect
) -> Iterator[BaseDatabaseWrapper]:
    """Connect as a role that owns everything of ours and the project's, and is no superuser."""
    role = f"single_{guarded.settings_dict['NAME']}"
    do(guarded, f"CREATE ROLE {role} LOGIN PASSWORD 'single'")
    for kind, names in OWNED.items():
        for (name,) in do(guarded, names):
            do(guarded, f"ALTER {kind} {name} OWNER TO {role}")
    connection = second_connection(USER=role, PASSWORD="single")
    yield connection
    connection.close()
    do(guarded, f"REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}")
    do(guarded, f"DROP ROLE {role}")


OWNED = {
    "TABLE": "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' "
    "AND relname ~ '^(trigger_ops|past)_'",
    "FUNCTION": "SELECT oid::regprocedure::text FROM pg_proc WHERE proname ~ 'trigger_ops_'",
}


def test_the_owner_works_in_sessions(owner: BaseDatabaseWrapper) -> None:
    a_receipt(owner)
    with in_session(owner, open_session(owner, RECEIPT)):
        do(owner, UPDATE)
    assert len(rows_on_record(owner)) == 1


def test_the_owner_changes_no_evidence_either(owner: BaseDatabaseWrapper) -> None:
    a_receipt(owner)
    with in_session(owner, open_session(owner, RECEIPT)):
        do(owner, UPDATE)
    for table in set(TABLES) - {"policy", "guard", "session"}:
        for write in ("UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {}"):
            with refused("TO013"):
                do(owner, write.format(f"trigger_ops_{table}"))
    for write in ("DELETE FROM {}", "TRUNCATE {} CASCADE"):
        with refused("TO013"):
            do(owner, write.format("trigger_ops_session"))
    assert len(rows_on_record(owner)) == 1


def test_what_the_owner_may_do_is_to_disable_triggers(owner: BaseDatabaseWrapper) -> None:
    """What holds under "split" alone: here it is found by `check`, as finding W006 or C006."""
    a_receipt(owner)
    with in_session(owner, open_session(owner, RECEIPT)):
        do(owner, UPDATE)
    do(owner, "ALTER TABLE trigger_ops_change DISABLE TRIGGER trigger_ops_evidence_guard")
    do(owner, "DELETE FROM trigger_ops_change")
    assert rows_on_record(owner) == []
