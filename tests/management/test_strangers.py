"""A role without rights on our tables is told what to have typed, and that is enough."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.db import connection, transaction

from tests.damage import make_role, run
from tests.management.conftest import Result
from tests.management.sessions import REASON, RECEIPT, SOFT_DELETE, Run, opened

pytestmark = pytest.mark.usefixtures("guarded")

READ = {"SELECT"}
WRITTEN = {"SELECT", "INSERT", "UPDATE"}
SESSIONS = {
    *("session", "review", "sessionevent", "sessiontransaction", "sessionstatement"),
    *("decision", "change"),
}
GUARD = {"guard", "policy"}
PAST = {"change", "decision", "guardchange", "ledgerentry", "acknowledgement"}
RECORDS = {"driftrun", "drifttarget", "driftfinding", "findingevent", "allowance", "notice"}

CASES: dict[str, tuple[tuple[str, ...], set[str], set[str]]] = {
    "log": (("log",), {"ledgerentry"}, READ),
    "list": (("session", "list"), SESSIONS, READ),
    "denied": (("session", "list", "--denied"), SESSIONS, READ),
    "show": (("session", "show", "1"), SESSIONS, READ),
    "report": (("session", "report", "1"), SESSIONS, READ),
    "end": (("session", "end", "1"), SESSIONS, READ),
    "open": (("session", "open", RECEIPT, "--reason", REASON), GUARD, READ),
    "run": (("session", "run", RECEIPT, "--reason", REASON, "--", "check"), GUARD, READ),
    "acknowledge": (("guard", "acknowledge", "--reason", REASON), PAST, READ),
    "allow list": (("allow", "list"), RECORDS, READ),
    "allow expire": (("allow", "expire", "9"), RECORDS, WRITTEN),
    "max age": (("check", "--max-age", "1h"), RECORDS, READ),
    "prune": (("drift", "prune", "--older-than", "1d"), RECORDS, {*WRITTEN, "DELETE"}),
}


@pytest.fixture
def stranger() -> Iterator[str]:
    """Make a role that may look into the schema of our tables, and nothing else."""
    role = make_role("stranger")
    run("GRANT USAGE ON SCHEMA public TO {role}", role=role)
    yield role
    run("RESET ROLE")
    run("DROP OWNED BY {role}; DROP ROLE {role}", role=role)


def acting_as(role: str, pgtrigger: Run, *words: str) -> Result:
    run("SET ROLE {role}", role=role)
    try:
        return pgtrigger(*words)
    finally:
        run("RESET ROLE")


@pytest.mark.parametrize("case", CASES)
def test_the_grant_that_a_refusal_names_is_what_the_verb_needs(
    case: str, stranger: str, pgtrigger: Run
) -> None:
    words, tables, rights = CASES[case]
    opened(SOFT_DELETE)
    refused = acting_as(stranger, pgtrigger, *words)
    assert (refused.code, refused.out) == (4, "")
    (grant,) = re.findall(r"run (GRANT [A-Z, ]+ ON .+ TO \"\w+\")[;.]", refused.err)
    with connection.cursor() as cursor:
        cursor.execute(grant)
    found = run(
        "SELECT substr(table_name, 13), array_agg(privilege_type::text) "
        "FROM information_schema.role_table_grants WHERE grantee = %s GROUP BY 1",
        stranger,
    )
    assert {table: set(given) for table, given in found} == dict.fromkeys(tables, rights)
    again = acting_as(stranger, pgtrigger, *words)
    assert "permission denied for table" not in again.err
    assert "may not read" not in again.err
    if rights == READ and again.code == 0:
        assert again.out == pgtrigger(*words).out


@pytest.mark.parametrize("verb", ["install", "remove"])
def test_only_the_owner_changes_the_guard_so_that_no_grant_would_help(
    verb: str, stranger: str, pgtrigger: Run
) -> None:
    refused = acting_as(stranger, pgtrigger, "guard", verb, "--no-input")
    assert refused.code == 4
    assert 'on "default": run this as their owner.' in refused.err


def test_what_is_refused_for_another_reason_advises_no_grant(pgtrigger: Run) -> None:
    run("ALTER TABLE trigger_ops_ledgerentry RENAME COLUMN actor TO who")
    result = pgtrigger("log")
    assert "could not be read: column" in result.err
    assert "GRANT" not in result.err


def test_inside_a_transaction_a_refusal_leaves_it_usable(stranger: str, pgtrigger: Run) -> None:
    with transaction.atomic():
        run("SET LOCAL ROLE {role}", role=stranger)
        assert "run GRANT SELECT ON" in pgtrigger("log").err
        assert run("SELECT 1") == [(1,)]
        run("RESET ROLE")
    assert pgtrigger("log").code == 0
