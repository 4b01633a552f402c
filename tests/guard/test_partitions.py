"""Partitions are made, attached and detached by their owner, who need not own the evidence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.damage import make_role, run
from tests.database.acts import Connect, do, refused, transaction
from tests.guard.conftest import guard
from tests.guard.test_findings import found
from trigger_ops import api
from trigger_ops.rendering.guard import as_text

TREE = "SELECT relid::regclass::text FROM pg_partition_tree('awkward_measurement')"
WITNESSES = (
    "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'measurement_2040'::regclass "
    "AND tgname ~ '^trigger_ops_' ORDER BY 1"
)
COPIES = [("trigger_ops_witness", "A"), ("trigger_ops_witness_replica", "R")]


@pytest.fixture
def owner(
    guarded: BaseDatabaseWrapper, second_connection: Connect
) -> Iterator[BaseDatabaseWrapper]:
    """Connect as a role to which somebody has given a partitioned table, with nothing of ours."""
    role = make_role("tables", options="LOGIN PASSWORD 'tables'")
    run("GRANT CREATE ON SCHEMA public TO {role}", role=role)
    for (name,) in run(TREE):
        run(f"ALTER TABLE {name} OWNER TO {{role}}", role=role)
    connection = second_connection(USER=role, PASSWORD="tables")
    yield connection
    connection.close()
    run("DROP OWNED BY {role} CASCADE", role=role)
    run("DROP ROLE {role}", role=role)


def bounds(year: int) -> str:
    return f"FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')"


def make_partition(connection: BaseDatabaseWrapper) -> None:
    do(
        connection,
        f"CREATE TABLE measurement_2040 PARTITION OF awkward_measurement {bounds(2040)}",
    )


def test_who_may_make_no_partitions_is_said_and_guard_install_lets_them(
    owner: BaseDatabaseWrapper,
) -> None:
    role = owner.settings_dict["USER"]
    with refused("42501"):
        make_partition(owner)
    (finding,) = found("C006")
    says = (
        f'role "{role}" may not execute trigger_ops_witness_row, as who makes partitions of '
        "public.awkward_measurement"
    )
    assert says in finding.message
    assert says in as_text(api.guard_status("default"), colour=False)
    report = guard()
    assert [one.step.uri for one in report.changed] == ["public.the guard's rights"]
    assert (found("C006", "W006"), api.guard_status("default").amiss) == ([], False)
    assert not guard().changed

    make_partition(owner)
    do(owner, "ALTER TABLE awkward_measurement DETACH PARTITION measurement_2040")
    do(
        owner,
        f"ALTER TABLE awkward_measurement ATTACH PARTITION measurement_2040 {bounds(2040)}",
    )
    assert run(WITNESSES) == COPIES


def test_a_role_of_which_they_are_a_member_will_do(owner: BaseDatabaseWrapper) -> None:
    group = make_role("group")
    role = owner.settings_dict["USER"]
    try:
        run("GRANT EXECUTE ON FUNCTION trigger_ops_witness_row() TO {group}", group=group)
        assert len(found("C006")) == 1
        run("GRANT {group} TO {role}", group=group, role=role)
        assert found("C006") == []
        assert not guard().changed
        make_partition(owner)
    finally:
        run("DROP OWNED BY {group}", group=group)
        run("DROP ROLE {group}", group=group)


def test_the_function_is_not_for_everybody_because_of_it(owner: BaseDatabaseWrapper) -> None:
    """What everybody was given is taken back, and their own right stays with owners."""
    run("GRANT EXECUTE ON FUNCTION trigger_ops_witness_row() TO PUBLIC")
    guard()
    assert not guard().changed
    assert run(
        "SELECT has_function_privilege('public', 'trigger_ops_witness_row()', 'EXECUTE')"
    ) == [(False,)]
    make_partition(owner)


def test_a_function_of_somebody_elses_is_handed_over_and_they_may_execute_it(
    owner: BaseDatabaseWrapper,
) -> None:
    role = owner.settings_dict["USER"]
    run("ALTER FUNCTION trigger_ops_witness_row() OWNER TO {role}", role=role)
    guard()
    assert not guard().changed
    make_partition(owner)


def test_on_a_table_of_their_own_the_function_tells_of_that_table(
    owner: BaseDatabaseWrapper,
) -> None:
    guard()
    do(owner, "CREATE TABLE mine (id integer)")
    row_witness = "FOR EACH ROW EXECUTE FUNCTION trigger_ops_witness_row('alone', '{}')"
    do(owner, f"CREATE TRIGGER mine AFTER INSERT ON mine {row_witness}")
    with transaction(owner):
        do(owner, "SELECT set_config('pgtrigger.ignore', '{pgtrigger_append_only_53885}', true)")
        do(owner, "INSERT INTO mine VALUES (1)")
    assert run("SELECT 1 FROM trigger_ops_change") == []
    for statement in (
        f"CREATE TRIGGER a BEFORE INSERT ON trigger_ops_change {row_witness}",
        f"CREATE TRIGGER a AFTER INSERT ON past_receipt {row_witness}",
        "CREATE TRIGGER a AFTER INSERT ON mine EXECUTE FUNCTION trigger_ops_witness_rows()",
    ):
        with refused("42501"):
            do(owner, statement)
