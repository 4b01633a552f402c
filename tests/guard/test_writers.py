"""Nobody but their owner writes our tables: what roles were granted is said, and taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.damage import make_role, pgid, run
from tests.database.acts import RECEIPT, Connect, do, refused, transaction
from tests.guard.conftest import guard
from tests.guard.test_findings import found
from trigger_ops import api
from trigger_ops.planner import Request
from trigger_ops.rendering.guard import as_text, document
from trigger_ops.states import ExitCode, Verb

WRITES = (
    "UPDATE trigger_ops_policy SET mode = 'open'",
    "UPDATE trigger_ops_guard SET policy = 'open'",
    "DELETE FROM trigger_ops_guard",
    (
        'INSERT INTO trigger_ops_change (transaction, schema, "table", op, cause) '
        "VALUES (1, 'public', 'past_receipt', 'DELETE', 'ignore')"
    ),
    "INSERT INTO trigger_ops_session (state) VALUES ('asked')",
    "INSERT INTO trigger_ops_ledgerentry (run, kind) VALUES (gen_random_uuid(), 'finished')",
    "DELETE FROM trigger_ops_triggerlease",
    "SELECT nextval('trigger_ops_change_id_seq')",
    "SELECT setval('trigger_ops_sessionevent_id_seq', 1)",
)


@pytest.fixture
def role(guarded: BaseDatabaseWrapper, settings: Any) -> Iterator[str]:
    """Let there be a role that works with the tables, and is said to."""
    role = make_role("app", options="LOGIN PASSWORD 'app'")
    settings.TRIGGER_OPS = {"APP_ROLES": [role], "POLICIES": {RECEIPT: "four_eyes"}}
    assert not guard().failed
    yield role
    run("DROP OWNED BY {role}", role=role)
    run("DROP ROLE {role}", role=role)


def grant_all(role: str) -> None:
    """Give what ALTER DEFAULT PRIVILEGES of an owner gave before `migrate`."""
    run("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}", role=role)
    run("GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO {role}", role=role)


def too_much() -> list[str]:
    return [one.message for one in found("C006") if "may write" in one.message]


def test_what_default_privileges_gave_is_said_and_taken_back(
    role: str, second_connection: Connect
) -> None:
    assert (too_much(), api.guard_status("default").exit_code) == ([], ExitCode.CLEAN)
    grant_all(role)
    (said,) = too_much()
    assert f'role "{role}" may write trigger_ops_acknowledgement, ' in said
    status = api.guard_status("default")
    assert status.exit_code == ExitCode.FINDINGS
    assert status.profile is not None
    (reason,) = status.profile.reasons
    assert reason.startswith(f'role "{role}" may write trigger_ops_acknowledgement, ')
    assert f'single, because role "{role}" may write' in as_text(status, colour=False)
    assert not guard().failed
    app = second_connection(USER=role, PASSWORD="app")
    for statement in WRITES:
        with refused("42501"):
            do(app, statement)
    # What the project's own tables take is the project's business.
    do(app, "INSERT INTO past_receipt (number) VALUES ('a')")
    with refused("TO001"), transaction(app):
        do(app, f"SELECT set_config('pgtrigger.ignore', '{{{pgid(RECEIPT)}}}', true)")
        do(app, "DELETE FROM past_receipt")
    app.close()
    status = api.guard_status("default")
    assert (status.profile is not None and status.profile.name, too_much()) == ("split", [])
    assert not guard().changed


GRANTS = {
    "a column": "GRANT UPDATE (mode) ON trigger_ops_policy TO {role}",
    "everybody": "GRANT INSERT ON trigger_ops_change TO PUBLIC",
    "a sequence": "GRANT USAGE ON SEQUENCE trigger_ops_change_id_seq TO {role}",
    "a trigger of one's own": "GRANT TRIGGER ON trigger_ops_change TO {role}",
    "a group": "GRANT DELETE ON trigger_ops_guard TO {group}; GRANT {group} TO {role}",
    "to pass on": "GRANT INSERT ON trigger_ops_decision TO {role} WITH GRANT OPTION",
}


@pytest.mark.parametrize("given", GRANTS)
def test_each_way_to_write_is_said_and_taken_back(role: str, given: str) -> None:
    group = make_role("writers")
    try:
        run(GRANTS[given], role=role, group=group)
        assert len(too_much()) == 1
        report = guard()
        assert [one.step.uri for one in report.changed] == ["public.the guard's rights"]
        assert too_much() == []
    finally:
        run("DROP OWNED BY {group}", group=group)
        run("DROP ROLE {group}", group=group)


def test_what_no_revoke_takes_back_stays_said(role: str) -> None:
    run("GRANT pg_write_all_data TO {role}", role=role)
    assert not guard().changed
    assert len(too_much()) == 1
    status = api.guard_status("default")
    assert (status.profile is not None and status.profile.name) == "single"


def test_what_undoes_it_gives_the_rights_back(role: str) -> None:
    grant_all(role)
    rights = "SELECT has_table_privilege(%s, 'trigger_ops_policy', 'UPDATE')"
    planned = api.plan(Request(verb=Verb.GUARD_INSTALL, databases=("default",)))
    statements = [one for _, one in planned.statements]
    with connections["default"].cursor() as cursor:
        for one in statements:
            cursor.execute(one.sql)
        assert run(rights, role) == [(False,)]
        for one in reversed(statements):
            cursor.execute(one.undo)
    assert run(rights, role) == [(True,)]


@pytest.mark.usefixtures("role")
def test_others_who_may_write_are_named_and_left_alone() -> None:
    other = make_role("restorer")
    try:
        run("GRANT INSERT ON trigger_ops_change TO {other}", other=other)
        status = api.guard_status("default")
        assert status.writers == (f'role "{other}" may INSERT on trigger_ops_change',)
        assert f"besides the owner, {status.writers[0]}" in as_text(status, colour=False)
        assert json.loads(json.dumps(document([status], [])))["databases"][0]["writers"]
        assert (too_much(), guard().changed) == ([], ())
    finally:
        run("DROP OWNED BY {other}", other=other)
        run("DROP ROLE {other}", other=other)
