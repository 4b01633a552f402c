"""Dumps by PostgreSQL's own programs: what they bring back, and what they do to the guard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Receipt
from tests.damage import run, within
from tests.database.acts import (
    RECEIPT,
    a_receipt,
    do,
    ignoring,
    one,
    open_session,
    policy,
    refused,
    transaction,
)
from tests.guard.conftest import default_at, guard
from tests.programs import run_on
from trigger_ops import api
from trigger_ops.guard import ddl
from trigger_ops.records import Actor
from trigger_ops.rendering.guard import as_text
from trigger_ops.states import SessionState, Verb

HOSTILE = 'odd"name; --'

EVIDENCE = (
    *("session", "review", "sessionevent", "sessiontransaction", "sessionstatement"),
    *("decision", "change", "acknowledgement", "ledgerentry"),
)
"""Our tables whose rows are kept; those of the guard itself are made by ``guard install``."""

MODES = """
SELECT count(*) FILTER (WHERE t.tgenabled = 'A'), count(*) FROM pg_trigger t
 WHERE t.tgrelid::regclass::text ~ '^trigger_ops_' AND NOT t.tgisinternal"""


def contents(table: str) -> list[str]:
    """Return the rows of a table of ours."""
    return [
        text
        for (text,) in run(
            "SELECT to_jsonb(t)::text FROM {table} t ORDER BY 1", table=f"trigger_ops_{table}"
        )
    ]


def past() -> tuple[int, int, int]:
    """Leave evidence behind; return a session that has ended, an active one, a pending one."""
    a_receipt(connection, "wrong")
    pending, reviewed = (open_session(connection, RECEIPT, needs=1) for _ in range(2))
    eve = Actor(name="user:eve", key="7")
    api.review_session(reviewed, reviewer=eve, verdict="approve", remark="looks right")
    with api.session(id=reviewed):
        Receipt.objects.update(number="right")
    api.end_session(reviewed)
    with transaction(connection):
        do(connection, ignoring(RECEIPT))
        do(connection, "UPDATE past_receipt SET number = 'unattributed'")
    assert len(api.unattributed("default")) == 1
    return reviewed, open_session(connection, RECEIPT), pending


def state_of(number: int) -> SessionState:
    return api.find_session(number).state


def test_a_full_dump_brings_everything_back_as_it_was(
    guarded: BaseDatabaseWrapper, make_database: Callable[..., str], tmp_path: Path
) -> None:
    ended, active, pending = past()
    policy(connection, "session", RECEIPT)
    before = {table: contents(table) for table in (*EVIDENCE, "guard", "policy")}
    report, modes = api.session_report(ended), do(connection, MODES)
    run_on(guarded.settings_dict["NAME"], "pg_dump", "-Fc", "-f", str(tmp_path / "dump"))
    copy = make_database(empty=True)
    run_on(copy, "pg_restore", str(tmp_path / "dump"))
    with default_at(NAME=copy):
        assert {table: contents(table) for table in before} == before
        assert do(connection, MODES) == modes
        states = (SessionState.ENDED, SessionState.ACTIVE, SessionState.PENDING)
        assert tuple(map(state_of, (ended, active, pending))) == states
        assert api.session_report(ended).findings == report.findings
        # The policy is another one than that of the settings, and something is unattributed.
        levels = {one.id for one in api.check(databases=["default"]).findings if one.level > 30}
        assert levels == {"trigger_ops.C006", "trigger_ops.C007"}
        with refused("TO001"), transaction(connection):
            do(connection, ignoring(RECEIPT))
            do(connection, "UPDATE past_receipt SET number = 'x'")
        with api.session(id=active):
            assert Receipt.objects.update(number="goes on") == 1


def watch_ddl() -> dict[str, str]:
    """Switch the DDL guard on where a table has a hostile name; return what that is called."""
    names = {"s": HOSTILE, "t": within(HOSTILE, HOSTILE)}
    run("CREATE SCHEMA {s}; CREATE TABLE {t} (LIKE past_receipt)", **names)
    run(
        "CREATE TRIGGER pgtrigger_hostile BEFORE DELETE ON {t} FOR EACH ROW "
        "EXECUTE FUNCTION pgtrigger_append_only_53885()",
        **names,
    )
    api.switch_ddl_guard("default", Verb.GUARD_INSTALL, actor="user:ada")
    return names


WAYS = (
    "ALTER TABLE trigger_ops_change ENABLE ROW LEVEL SECURITY",
    "CREATE RULE r AS ON INSERT TO trigger_ops_change DO INSTEAD NOTHING",
    "ALTER INDEX trigger_ops_change RENAME TO kept",
    "ALTER TABLE past_receipt DISABLE TRIGGER trigger_ops_witness",
)


def test_the_ddl_guard_watches_the_same_after_a_full_dump(
    guarded: BaseDatabaseWrapper, make_database: Callable[..., str], tmp_path: Path
) -> None:
    """OIDs are other ones then; names of tables may hold anything."""
    hostile = watch_ddl()
    known = "SELECT relation::text, name, enabled FROM trigger_ops_ddl_guard.known ORDER BY 1, 2"
    before = do(connection, known)
    assert len([name for _, name, _ in before if name == "pgtrigger_hostile"]) == 1
    run_on(guarded.settings_dict["NAME"], "pg_dump", "-Fc", "-f", str(tmp_path / "dump"))
    copy = make_database(empty=True)
    run_on(copy, "pg_restore", "--exit-on-error", str(tmp_path / "dump"))
    with default_at(NAME=copy):
        assert do(connection, known) == before
        assert ddl.fault("default", "public") == ""
        for statement in WAYS:
            with refused("TO006"), transaction(connection):
                do(connection, statement)
        with transaction(connection):
            run(
                "ALTER TABLE {t} DISABLE TRIGGER ALL; ALTER TABLE {t} ENABLE TRIGGER ALL",
                **hostile,
            )
            run("ALTER TABLE {t} RENAME TO other", **hostile)
        noted = "SELECT op, schema, name FROM trigger_ops_guardchange WHERE kind = 'trigger'"
        assert do(connection, noted) == [
            (op, HOSTILE, "pgtrigger_hostile") for op in ("DISABLE", "ENABLE")
        ]
        run("ALTER TABLE trigger_ops_change ADD COLUMN more integer")


def test_what_the_ddl_guard_knows_can_be_left_out_with_a_table_and_learned_anew(
    guarded: BaseDatabaseWrapper, make_database: Callable[..., str], tmp_path: Path
) -> None:
    watch_ddl()
    left_out = ("--exclude-schema=odd*", "--exclude-table-data=trigger_ops_ddl_guard.*")
    name = guarded.settings_dict["NAME"]
    run_on(name, "pg_dump", "-Fc", *left_out, "-f", str(tmp_path / "dump"))
    copy = make_database(empty=True)
    run_on(copy, "pg_restore", "--exit-on-error", str(tmp_path / "dump"))
    with default_at(NAME=copy):
        (message,) = [
            one.message
            for one in api.check(databases=["default"]).findings
            if one.id.endswith("C006")
        ]
        assert message.startswith("The guard watches DDL, but its event trigger does not know ")
        assert "does not know" in as_text(api.guard_status("default"), colour=False)
        run("CREATE TABLE other (id integer)")
        api.switch_ddl_guard("default", Verb.GUARD_INSTALL, actor="user:ada")
        assert ddl.fault("default", "public") == ""


@pytest.fixture
def data(
    guarded: BaseDatabaseWrapper, make_database: Callable[..., str], tmp_path: Path
) -> Callable[..., Any]:
    """Return what loads the evidence of one database into a migrated one, and works there."""
    dump = tmp_path / "data"

    def load(*options: str) -> Any:
        tables = [f"--table=trigger_ops_{table}*" for table in EVIDENCE]
        name = guarded.settings_dict["NAME"]
        run_on(name, "pg_dump", "-Fc", "--data-only", *tables, "-f", str(dump))
        other = make_database()
        run_on(other, "pg_restore", "--data-only", *options, str(dump))
        return default_at(NAME=other)

    return load


def test_data_alone_is_kept_as_it_is_and_nothing_is_done_again(data: Callable[..., Any]) -> None:
    ended, active, pending = past()
    before = {table: contents(table) for table in EVIDENCE}
    account = api.show_session(ended)
    with data():
        assert (state_of(ended), account) == (SessionState.ENDED, api.show_session(ended))
        assert (state_of(active), state_of(pending)) == (SessionState.ABANDONED,) * 2
        loaded = {table: contents(table) for table in EVIDENCE}
        assert [table for table in EVIDENCE if loaded[table] != before[table]] == ["session"]
        assert one(
            connection,
            "SELECT count(*) = sum((tgenabled = 'A')::int) FROM pg_trigger"
            " WHERE tgrelid = 'trigger_ops_session'::regclass AND NOT tgisinternal",
        )
        assert guard().changed
        assert len(api.unattributed("default")) == 1
        # Sequences were loaded too, so that the next one has a number of its own.
        assert open_session(connection, RECEIPT) > max(ended, active, pending)


def test_with_triggers_disabled_nobody_looks_and_guard_install_mends_it(
    data: Callable[..., Any],
) -> None:
    ended, active, pending = past()
    before = {table: contents(table) for table in EVIDENCE}
    with data("--disable-triggers"):
        assert {table: contents(table) for table in EVIDENCE} == before
        assert state_of(active) is SessionState.ACTIVE
        always, every = do(connection, MODES)[0]
        assert always < every
        assert guard().changed
        assert do(connection, MODES) == [(every, every)]
        report = api.guard_status("default")
        assert [gate.fault for gate in report.gates if gate.fault] == []
        assert api.revoke_session(active, reason="loaded").state is SessionState.REVOKED
        with refused("TO013"):
            do(connection, "DELETE FROM trigger_ops_change")
        assert (state_of(ended), state_of(pending)) == (SessionState.ENDED, SessionState.PENDING)
