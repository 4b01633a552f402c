"""``guard install`` and ``guard remove``: there and back, each damage, hostile names, locks, rights."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db.utils import DatabaseError

from demo_site.past.models import Receipt
from demo_site.tutorial import runner
from tests.damage import make_role, run, within
from tests.planner import acts
from trigger_ops import api
from trigger_ops.exceptions import Refused
from trigger_ops.inspection.guarding import DEPARSED
from trigger_ops.inspection.ignoring import stock_ignore_body
from trigger_ops.planner import Request
from trigger_ops.planner.files import read, refusal, text
from trigger_ops.sql.functions import PUBLIC
from trigger_ops.states import Hazard, Result, Verb

pytestmark = pytest.mark.django_db

INSTALL, REMOVE = Verb.GUARD_INSTALL, Verb.GUARD_REMOVE
HOSTILE = 'odd"name; --'

EXISTS = "SELECT count(*) FROM pg_trigger WHERE tgname = %s AND tgrelid = %s::regclass"
BODY = "SELECT prosrc FROM pg_proc WHERE proname = '_pgtrigger_should_ignore'"


def put_on() -> None:
    """Install the guard, and demand that nothing is left to do."""
    acts.carry_out(acts.make(INSTALL), *Hazard)
    again = acts.make(INSTALL)
    assert [(step.uri, step.reason) for step in again.work] == []


def work(verb: Verb = INSTALL) -> dict[str, str]:
    return {step.uri: step.reason for step in acts.make(verb).work}


def state() -> acts.State:
    """Return what there is, with rights in one spelling: none given means the usual ones."""
    found = acts.state()
    functions = [
        (
            name,
            text,
            owner,
            " ".join(sorted((rights or f"{{=X/{owner},{owner}=X/{owner}}}")[1:-1].split(","))),
        )
        for name, text, owner, rights in found["functions"]
    ]
    return {"triggers": found["triggers"], "functions": functions}


def rows() -> tuple[list[Any], list[Any]]:
    return (
        run("SELECT policy, approvals, ddl FROM trigger_ops_guard"),
        run("SELECT trigger, uri, mode, approvals FROM trigger_ops_policy ORDER BY trigger"),
    )


# There and back -----------------------------------------------------------------------------------


def test_install_then_remove_leaves_every_trigger_and_function_as_it_was() -> None:
    before = state()
    put_on()
    assert api.check(databases=["default"]).exit_code == 0
    acts.carry_out(acts.make(REMOVE), *Hazard)
    now = state()
    acts.assert_same({"triggers": now["triggers"]}, {"triggers": before["triggers"]})
    own = {row[0]: row[1] for row in before["functions"]}
    assert {row[0]: row[1] for row in now["functions"]} == own
    assert rows() == ([], [])
    assert work(REMOVE) == {}


def test_what_undoes_an_install_brings_back_what_there_was(settings: Any) -> None:
    settings.TRIGGER_OPS = {"POLICIES": {"past.Receipt": "four_eyes"}, "APPROVALS": 2}
    before = state()
    plan = acts.make(INSTALL)
    acts.by_hand(plan)
    assert rows() == (
        [("record", 2, False)],
        [("pgtrigger_append_only_53885", "past.Receipt:append_only", "four_eyes", 2)],
    )
    assert work() == {}
    acts.take_back(plan)
    acts.assert_same(state(), before)
    assert rows() == ([], [])


def test_what_undoes_a_removal_brings_the_guard_back() -> None:
    put_on()
    before = state()
    plan = acts.make(REMOVE)
    acts.by_hand(plan)
    acts.take_back(plan)
    acts.assert_same(state(), before)
    assert work() == {}


def test_a_guard_that_is_as_it_should_be_takes_no_lock_and_leaves_no_entry() -> None:
    put_on()
    entries = run("SELECT count(*) FROM trigger_ops_ledgerentry")
    report = acts.carry_out(acts.make(INSTALL))
    assert report.changed == ()
    assert run("SELECT count(*) FROM trigger_ops_ledgerentry") == entries


def test_gates_come_after_all_witnesses_and_go_before_them() -> None:
    steps = acts.make(INSTALL).work
    gates = [n for n, step in enumerate(steps) if step.trigger == "_pgtrigger_should_ignore"]
    witnesses = [n for n, step in enumerate(steps) if step.trigger == "trigger_ops_witness"]
    assert len(witnesses) > 20
    assert min(gates) > max(witnesses)
    put_on()
    steps = acts.make(REMOVE).work
    gates = [n for n, step in enumerate(steps) if step.trigger == "_pgtrigger_should_ignore"]
    witnesses = [n for n, step in enumerate(steps) if step.trigger == "trigger_ops_witness"]
    assert max(gates) < min(witnesses)


def test_a_witness_is_put_on_under_the_lock_that_readers_pass() -> None:
    locks = {
        (acts.shape(statement.sql), statement.lock.value)
        for step, statement in acts.make(INSTALL).statements
        if step.table is not None
    }
    assert locks == {
        ("CREATE TRIGGER", "SHARE ROW EXCLUSIVE"),
        ("ALTER TABLE", "SHARE ROW EXCLUSIVE"),
    }
    put_on()
    run(DAMAGES["witness that looks away"][0])
    (step,) = acts.make(INSTALL).work
    acts.execute(["SAVEPOINT before", *(one.sql for one in step.statements)])
    held = run(
        "SELECT DISTINCT mode FROM pg_locks WHERE pid = pg_backend_pid() "
        "AND relation = 'past_receipt'::regclass"
    )
    assert ("AccessExclusiveLock",) not in held
    assert ("ShareRowExclusiveLock",) in held


def test_the_condition_is_spelled_here_as_postgresql_spells_it() -> None:
    put_on()
    definition = run(
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'trigger_ops_witness' "
        "AND tgrelid = 'past_receipt'::regclass"
    )[0][0]
    assert f"WHEN {DEPARSED} EXECUTE" in definition or f"WHEN ({DEPARSED}) EXECUTE" in definition


# Each damage --------------------------------------------------------------------------------------

ON = "public.past_receipt:trigger_ops_witness"
DAMAGES = {
    "gate replaced by the stock function": (
        (
            "CREATE OR REPLACE FUNCTION public._pgtrigger_should_ignore(trigger_name name) "
            f"RETURNS boolean LANGUAGE plpgsql AS $stock${stock_ignore_body()}$stock$"
        ),
        {"public._pgtrigger_should_ignore": "pgtrigger's own is in its place"},
    ),
    "gate that always says yes": (
        (
            "CREATE OR REPLACE FUNCTION public._pgtrigger_should_ignore(trigger_name name) "
            "RETURNS boolean LANGUAGE sql AS 'SELECT true'"
        ),
        {"public._pgtrigger_should_ignore": "its body was changed"},
    ),
    "gate SECURITY DEFINER": (
        "ALTER FUNCTION public._pgtrigger_should_ignore(name) SECURITY DEFINER",
        {"public._pgtrigger_should_ignore": "it is SECURITY DEFINER"},
    ),
    "function emptied": (
        (
            "CREATE OR REPLACE FUNCTION public.trigger_ops_witness_row() RETURNS trigger "
            "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp "
            "AS 'BEGIN RETURN NULL; END'"
        ),
        {"public.trigger_ops_witness_row": "has another body"},
    ),
    "search_path let go": (
        "ALTER FUNCTION public.trigger_ops_gate(name) RESET search_path",
        {"public.trigger_ops_gate": "has other settings"},
    ),
    "judging made stable": (
        "ALTER FUNCTION public.trigger_ops_gate(name) STABLE",
        {"public.trigger_ops_gate": "has other settings"},
    ),
    "sessions opened by everybody": (
        "GRANT EXECUTE ON FUNCTION public.trigger_ops_open(jsonb) TO PUBLIC",
        {"public.trigger_ops_open": "may be executed by everybody"},
    ),
    "gate closed to others": (
        "REVOKE EXECUTE ON FUNCTION public.trigger_ops_gate(name) FROM PUBLIC",
        {"public.trigger_ops_gate": "may not be executed"},
    ),
    "a function of sessions dropped": (
        "DROP FUNCTION public.trigger_ops_tell(bigint, text, text, jsonb)",
        {"public.trigger_ops_tell": "is missing"},
    ),
    "witness dropped": ("DROP TRIGGER trigger_ops_witness ON past_receipt", {ON: "is missing"}),
    "witness disabled": (
        "ALTER TABLE past_receipt DISABLE TRIGGER trigger_ops_witness",
        {ON: "is not ENABLE ALWAYS"},
    ),
    "all triggers enabled": (
        "ALTER TABLE past_receipt ENABLE TRIGGER ALL",
        {
            ON: "is not ENABLE ALWAYS",
            f"{ON}_replica": "is not ENABLE REPLICA",
            f"{ON}_truncate": "is not ENABLE ALWAYS",
        },
    ),
    "witness that looks away": (
        (
            "CREATE OR REPLACE TRIGGER trigger_ops_witness AFTER INSERT OR UPDATE OR DELETE "
            "ON past_receipt FOR EACH ROW WHEN (false) "
            "EXECUTE FUNCTION trigger_ops_witness_row('alone', '{{}}')"
        ),
        {ON: "has another condition"},
    ),
    "witness of inserts alone": (
        (
            "CREATE OR REPLACE TRIGGER trigger_ops_witness AFTER INSERT ON past_receipt "
            "FOR EACH ROW EXECUTE FUNCTION trigger_ops_witness_row('alone', '{{}}')"
        ),
        {ON: "is not what the guard makes it"},
    ),
    "witness that masks all": (
        (
            "CREATE OR REPLACE TRIGGER trigger_ops_witness AFTER INSERT OR UPDATE OR DELETE "
            "ON past_receipt FOR EACH ROW "
            "EXECUTE FUNCTION trigger_ops_witness_row('alone', '{{\"number\":\"***\"}}')"
        ),
        {ON: "is not what the guard makes it"},
    ),
    "witness of another function": (
        (
            "CREATE OR REPLACE TRIGGER trigger_ops_witness AFTER INSERT OR UPDATE OR DELETE "
            "ON past_receipt FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        ),
        {ON: "executes pg_catalog.suppress_redundant_updates_trigger"},
    ),
    "the guard's row taken out": (
        "DELETE FROM trigger_ops_guard",
        {"public.the guard's policies": "the guard is on"},
    ),
    "guard of the evidence dropped": (
        "DROP TRIGGER trigger_ops_evidence_guard ON trigger_ops_change",
        {"public.trigger_ops_change:trigger_ops_evidence_guard": "is missing"},
    ),
    "guard of the ledger switched off": (
        "ALTER TABLE trigger_ops_ledgerentry DISABLE TRIGGER trigger_ops_ledger_guard",
        {"public.trigger_ops_ledgerentry:trigger_ops_ledger_guard": "is not ENABLE ALWAYS"},
    ),
    "own triggers enabled as a restore does": (
        "ALTER TABLE trigger_ops_review ENABLE TRIGGER ALL",
        {
            "public.trigger_ops_review:trigger_ops_evidence_guard": "is not ENABLE ALWAYS",
            "public.trigger_ops_review:trigger_ops_review_outcome": "is not ENABLE ALWAYS",
            "public.trigger_ops_review:trigger_ops_review_rules": "is not ENABLE ALWAYS",
        },
    ),
    "check at COMMIT dropped": (
        "DROP TRIGGER trigger_ops_commit_check ON trigger_ops_sessiontransaction",
        {"public.trigger_ops_sessiontransaction:trigger_ops_commit_check": "is missing"},
    ),
    "check at COMMIT not deferred": (
        (
            "DROP TRIGGER trigger_ops_commit_check ON trigger_ops_sessiontransaction; "
            "CREATE CONSTRAINT TRIGGER trigger_ops_commit_check AFTER INSERT ON "
            "trigger_ops_sessiontransaction FOR EACH ROW EXECUTE FUNCTION trigger_ops_commit_check()"
        ),
        {
            "public.trigger_ops_sessiontransaction:trigger_ops_commit_check": (
                "is not what the migration makes it"
            )
        },
    ),
    "state machine that sees no UPDATE": (
        (
            "CREATE OR REPLACE TRIGGER trigger_ops_state_machine BEFORE INSERT ON "
            "trigger_ops_session FOR EACH ROW EXECUTE FUNCTION trigger_ops_state_machine()"
        ),
        {
            "public.trigger_ops_session:trigger_ops_state_machine": (
                "is not what the migration makes it"
            )
        },
    ),
    "everybody may forge evidence": (
        "GRANT INSERT ON trigger_ops_change TO PUBLIC",
        {"public.the guard's rights": "functions alone write our tables"},
    ),
    "limits raised": (
        "UPDATE trigger_ops_guard SET longest = '10 years'",
        {"public.the guard's policies": "the settings say so"},
    ),
    "a URI of its own": (
        (
            "UPDATE trigger_ops_guard SET uris = uris || "
            '\'{{"pgtrigger_append_only_53885": "past.Receipt:harmless", "other": "a.B:c"}}\''
        ),
        {"public.the guard's policies": "a session is asked for by URI"},
    ),
    "a policy slipped in": (
        (
            "INSERT INTO trigger_ops_policy (trigger, uri, mode) "
            "VALUES ('pgtrigger_append_only_53885', 'past.Receipt:append_only', 'open')"
        ),
        {"public.the guard's policies": "no setting declares it"},
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_repaired_and_nothing_else(damage: str) -> None:
    statement, expected = DAMAGES[damage]
    put_on()
    before = state()
    policies = rows()
    run(statement)
    plan = acts.make(INSTALL)
    assert {step.uri: step.reason for step in plan.work} == expected
    acts.carry_out(plan, *Hazard)
    acts.assert_same(state(), before)
    assert rows() == policies
    assert work() == {}


@pytest.mark.parametrize(
    "damage",
    [one for one in DAMAGES if DAMAGES[one][0].split()[0] not in ("DELETE", "INSERT", "UPDATE")],
)
def test_what_undoes_a_repair_brings_the_damage_back(damage: str) -> None:
    put_on()
    run(DAMAGES[damage][0])
    before = state()
    plan = acts.make(INSTALL)
    acts.by_hand(plan)
    acts.take_back(plan)
    acts.assert_same(state(), before)


@pytest.mark.parametrize(
    "damage", ["gate replaced by the stock function", "gate that always says yes"]
)
def test_a_plain_install_puts_the_gate_back_where_the_guard_is_on(damage: str) -> None:
    put_on()
    gate = run(BODY)
    run(DAMAGES[damage][0])
    plan = acts.make(Verb.INSTALL)
    assert [step.uri for step in plan.work] == ["public._pgtrigger_should_ignore"]
    acts.carry_out(plan)
    assert run(BODY) == gate
    assert api.check(databases=["default"]).exit_code == 0


def test_a_plain_install_puts_the_stock_function_back_where_the_guard_is_off() -> None:
    run(DAMAGES["gate that always says yes"][0])
    acts.install()
    assert run(BODY) == [(stock_ignore_body(),)]


def test_uninstall_and_prune_leave_witnesses_alone() -> None:
    put_on()
    before = run("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'trigger_ops_witness%%'")
    acts.carry_out(acts.make(Verb.PRUNE), *Hazard)
    acts.carry_out(acts.make(Verb.UNINSTALL, "past.Receipt"), *Hazard)
    now = run("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'trigger_ops_witness%%'")
    assert now == before
    plan = acts.make(INSTALL)
    assert {step.uri: step.result for step in plan.work} == {
        ON: Result.DROPPED,
        f"{ON}_replica": Result.DROPPED,
        f"{ON}_truncate": Result.DROPPED,
    }
    acts.carry_out(plan)


# Which tables -------------------------------------------------------------------------------------


def names_on(table: str) -> list[str]:
    found = run(
        "SELECT concat_ws(' ', tgname, tgenabled) FROM pg_trigger "
        "WHERE tgrelid = %s::regclass AND tgname LIKE 'trigger_ops%%' ORDER BY 1",
        table,
    )
    return [str(name).removeprefix("trigger_ops_") for (name,) in found]


PLAIN = ["witness A", "witness_replica R", "witness_truncate A"]
WHOLE = sorted([*PLAIN, "witness_delete A", "witness_insert A", "witness_update A"])


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("past_receipt", PLAIN),
        ("tutorial_statementcomposer", WHOLE),  # a trigger for statements
        ("awkward_posting", WHOLE),  # a constraint trigger that may be deferred
        ("awkward_openorderline", []),  # a view
        ("trigger_ops_change", []),
    ],
)
def test_a_table_gets_the_witnesses_that_its_triggers_take(table: str, names: list[str]) -> None:
    put_on()
    found = [one for one in names_on(table) if one.startswith("witness")]
    assert found == names


def test_partitions_have_copies_of_their_own_and_new_ones_are_found(settings: Any) -> None:
    put_on()
    partitions = [
        row[0]
        for row in run(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'awkward_measurement'::regclass ORDER BY 1"
        )
    ]
    assert partitions
    for one in partitions:
        assert names_on(one) == PLAIN
    run("ALTER TABLE {table} ENABLE TRIGGER trigger_ops_witness", table=partitions[0])
    assert work() == {"public.awkward_measurement:trigger_ops_witness": "is not ENABLE ALWAYS"}
    put_on()
    assert names_on(partitions[0]) == PLAIN


def test_owners_of_partitioned_tables_may_execute_what_postgresql_asks_them_for() -> None:
    owner, other = make_role("partitioner"), make_role(HOSTILE)
    tree = run("SELECT relid::regclass::text FROM pg_partition_tree('awkward_measurement')")
    for (name,) in tree:
        run(f"ALTER TABLE {name} OWNER TO {{owner}}", owner=owner)
    run("ALTER TABLE awkward_measurement OWNER TO {other}", other=other)
    run("ALTER TABLE past_receipt OWNER TO {owner}", owner=owner)
    able = (
        "SELECT array_agg(p.proname::text ORDER BY 1) FROM pg_proc p WHERE p.proname "
        "LIKE 'trigger\\_ops\\_%%' AND has_function_privilege(%s, p.oid, 'EXECUTE')"
    )
    there = state()
    plan = acts.make(INSTALL)
    put_on()
    for role in (owner, other):
        (functions,) = run(able, role)[0]
        assert set(functions) - PUBLIC == {"trigger_ops_witness_row"}
    before = state()
    removal = acts.make(REMOVE)
    acts.by_hand(removal)
    acts.take_back(removal)
    acts.assert_same(state(), before)
    assert work() == {}
    acts.carry_out(acts.make(REMOVE), *Hazard)
    own = {row[0]: row[1] for row in there["functions"]}
    assert {row[0]: row[1] for row in state()["functions"]} == own
    acts.by_hand(plan)
    acts.take_back(plan)
    assert {row[0]: row[1] for row in state()["functions"]} == own


def test_columns_that_hold_secrets_are_masked_and_follow_the_table(settings: Any) -> None:
    settings.TRIGGER_OPS = {"MASK": "numb"}
    put_on()
    assert run(
        "SELECT encode(tgargs, 'escape') FROM pg_trigger WHERE tgname = 'trigger_ops_witness' "
        "AND tgrelid = 'past_receipt'::regclass"
    ) == [('alone\\000{"number":"***"}\\000',)]
    run("ALTER TABLE past_receipt ADD COLUMN numbing text")
    what = "is not what the guard makes it"
    assert work() == {ON: what, f"{ON}_replica": what}


def test_hostile_names_of_schema_table_and_column_do_no_harm(settings: Any) -> None:
    settings.TRIGGER_OPS = {"MASK": "odd"}
    before = state()
    run("CREATE SCHEMA {s}", s=HOSTILE)
    run("CREATE TABLE {t} (LIKE past_receipt INCLUDING ALL)", t=within(HOSTILE, "past_receipt"))
    run("ALTER TABLE {t} ADD COLUMN {c} text", t=within(HOSTILE, "past_receipt"), c=HOSTILE)
    run(
        "CREATE TRIGGER pgtrigger_append_only_53885 BEFORE UPDATE OR DELETE ON {t} "
        "FOR EACH ROW EXECUTE FUNCTION pgtrigger_append_only_53885()",
        t=within(HOSTILE, "past_receipt"),
    )
    put_on()
    run("INSERT INTO {t} VALUES (1, 'R-1', 'a secret')", t=within(HOSTILE, "past_receipt"))
    run("SELECT set_config('pgtrigger.ignore', '{{pgtrigger_append_only_53885}}', true)")
    run("UPDATE {t} SET number = 'R-2'", t=within(HOSTILE, "past_receipt"))
    run("SELECT set_config('pgtrigger.ignore', '', true)")
    assert run('SELECT schema, "table", op, old, new FROM trigger_ops_change') == [
        (
            HOSTILE,
            "past_receipt",
            "UPDATE",
            _json({"id": 1, "number": "R-1", HOSTILE: "***"}),
            _json({"id": 1, "number": "R-2", HOSTILE: "***"}),
        )
    ]
    acts.carry_out(acts.make(REMOVE), *Hazard)
    run("DROP SCHEMA {s} CASCADE", s=HOSTILE)
    now = state()
    acts.assert_same({"triggers": now["triggers"]}, {"triggers": before["triggers"]})


def _json(value: dict[str, Any]) -> Any:
    """Return a document as Django's cursor gives it: the connection's loader leaves it a text."""
    return run("SELECT %s::jsonb", json.dumps(value))[0][0]


# Refusals -----------------------------------------------------------------------------------------


def test_without_our_tables_there_is_a_sentence(settings: Any) -> None:
    run("ALTER TABLE trigger_ops_decision RENAME TO trigger_ops_decisions")
    with pytest.raises(Refused, match=r"run manage\.py migrate trigger_ops --database default"):
        acts.make(INSTALL)


def test_a_database_that_is_not_postgresql_is_refused() -> None:
    with pytest.raises(Refused, match="not PostgreSQL"):
        api.plan(Request(verb=INSTALL, databases=("lite",)))


def test_a_role_without_rights_is_told_before_anything_is_tried() -> None:
    role = make_role("guardless")
    run("GRANT USAGE ON SCHEMA public TO {role}", role=role)
    run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", role=role)
    before = state()
    run("SET LOCAL ROLE {role}", role=role)
    plan = acts.make(INSTALL)
    run("RESET ROLE")
    assert plan.exit_code == 4
    said = " ".join(plan.obstacles)
    assert "does not own table" in said
    assert "does not own our table" in said
    assert "may not create functions" in said
    with pytest.raises(Refused):
        api.apply(plan, actor=acts.ME)
    acts.assert_same(state(), before)


def test_roles_of_the_application_get_what_they_need_and_no_more(settings: Any) -> None:
    role = make_role("appuser")
    settings.TRIGGER_OPS = {"APP_ROLES": [role]}
    put_on()
    able = "SELECT has_table_privilege(%s, 'trigger_ops_change', %s)"
    assert run(able, role, "SELECT") == [(True,)]
    for right in ("INSERT", "UPDATE", "DELETE", "TRUNCATE"):
        assert run(able, role, right) == [(False,)]
    may = "SELECT has_function_privilege(%s, 'trigger_ops_open(jsonb)', 'EXECUTE')"
    assert run(may, role) == [(True,)]
    run("REVOKE SELECT ON trigger_ops_change FROM {role}", role=role)
    assert list(work()) == ["public.the guard's rights"]


def test_an_ignore_function_that_others_call_too_needs_to_be_allowed() -> None:
    run("CREATE TABLE stranger (id int)")
    run(
        "CREATE FUNCTION pgtrigger_theirs_abcde() RETURNS trigger LANGUAGE plpgsql AS "
        '\'BEGIN IF ("public"._pgtrigger_should_ignore(TG_NAME) IS TRUE) THEN RETURN NEW; END IF;'
        " RETURN NEW; END'"
    )
    run(
        "CREATE TRIGGER pgtrigger_theirs_abcde BEFORE UPDATE ON stranger FOR EACH ROW "
        "EXECUTE FUNCTION pgtrigger_theirs_abcde()"
    )
    run(
        "COMMENT ON TRIGGER pgtrigger_theirs_abcde ON stranger IS '0123456789012345678901234567890123456789'"
    )
    plan = acts.make(INSTALL)
    assert set(plan.hazards) == {Hazard.REPLACES_SHARED_FUNCTION_OF_OTHERS}
    with pytest.raises(Refused, match="--allow REPLACES_SHARED_FUNCTION_OF_OTHERS"):
        api.apply(plan, actor=acts.ME)
    acts.carry_out(plan, Hazard.REPLACES_SHARED_FUNCTION_OF_OTHERS)


def test_a_removal_is_refused_while_a_session_is_active() -> None:
    put_on()
    asked = (
        '{"uris": ["past.Receipt:append_only"], "triggers": ["pgtrigger_append_only_53885"], '
        '"reason": "a wrong number", "surface": "open", "opener": "os:ann@web1", "needs": 0, '
        '"lasts": "15 minutes", "idle": "10 minutes", "longest": "4 hours", "waits": "1 hour", '
        '"most_rows": 10, "most_extensions": 2}'
    )
    ((number,),) = run("SELECT trigger_ops_open(%s::jsonb)", asked)
    with pytest.raises(Refused, match=f"Session {number} of os:ann@web1 is active"):
        api.apply(acts.make(REMOVE), actor=acts.ME)
    run("SELECT trigger_ops_close(%s, 'ended', 'os:ann@web1', '')", number)
    acts.carry_out(acts.make(REMOVE))


# Plan files, and the tutorial ---------------------------------------------------------------------


def test_a_plan_file_binds_until_something_changes() -> None:
    plan = acts.make(INSTALL)
    file = read(text(plan))
    assert refusal(file, acts.make(INSTALL), verb=INSTALL, now=plan.created) is None
    run(
        "CREATE FUNCTION public.trigger_ops_allowance(bigint, bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'"
    )
    assert refusal(file, acts.make(INSTALL), verb=INSTALL, now=plan.created) is not None
    assert refusal(file, acts.make(INSTALL), verb=REMOVE, now=plan.created) is not None


def test_every_construct_of_the_guide_does_the_same_with_the_guard_on() -> None:
    put_on()
    constructs = [one for one in runner.ENTRIES if hasattr(one, "changes")]
    assert len(constructs) > 20
    for construct in constructs:
        outcome = runner.run_construct(construct)
        assert outcome.actual == outcome.expected


def test_a_trigger_still_refuses_with_the_guard_on() -> None:
    put_on()
    receipt = Receipt.objects.create(number="R-1")
    with pytest.raises(DatabaseError, match="pgtrigger: Cannot update or delete"):
        receipt.delete()
