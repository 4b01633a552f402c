"""A5 to A10, B12, C, D and D9: changes that stock makes blindly, loudly or not at all.

Where it is cheap each weakness is shown on stock first.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.awkward.models import Posting
from demo_site.past.models import Customer
from tests import damage
from tests.damage import pgid, run, stock, stock_line, within
from tests.weaknesses.acts import delete_an_invoice
from tests.weaknesses.expectations import (
    CUSTOMER,
    INVOICE,
    PAYROLL,
    PRICES,
    assert_clean,
    assert_refused,
    check,
)
from trigger_ops import api
from trigger_ops.applier.workplaces import KEY
from trigger_ops.planner import Request
from trigger_ops.states import ExitCode, Verb

in_transaction = pytest.mark.django_db

VIEW = "awkward.OpenOrderLine:delete_marks_done"
POSTING = "awkward.Posting:check_balance"


def ours(*arguments: str, code: int = 0, **options: Any) -> tuple[str, str]:
    """Run our command; return what it wrote to stdout and stderr, and demand its exit code."""
    out, err = io.StringIO(), io.StringIO()
    ended = 0
    try:
        call_command("pgtrigger", *arguments, stdout=out, stderr=err, **options)
    except CommandError as error:
        ended = error.returncode
        err.write(str(error))
    assert ended == code, err.getvalue()
    return out.getvalue(), err.getvalue()


def mode(uri: str) -> str:
    """Return a trigger's letter in the catalog."""
    ((letter,),) = run(
        "SELECT tgenabled::text FROM pg_trigger WHERE tgname = %s AND tgparentid = 0", pgid(uri)
    )
    return str(letter)


def switch(uri: str, table: str, words: str) -> None:
    run(f"ALTER TABLE {{table}} {words} TRIGGER {{trigger}}", table=table, trigger=pgid(uri))


def locks() -> set[str]:
    """Return the locks of this transaction on the users' tables that anybody could wait for."""
    rows = run(
        "SELECT l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
        "WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND c.relkind IN ('r', 'p') "
        "AND EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname LIKE 'pgtrigger%')"
    )
    return {mode for (mode,) in rows} - {"AccessShareLock"}


@in_transaction
def test_a5_a_quiet_command_is_quiet_however_often_it_runs() -> None:
    damage.gut(pgid(INVOICE))
    heard: list[str] = []
    before = list(logging.getLogger("pgtrigger").handlers)
    for _ in range(3):
        out, err = ours("install", INVOICE, "-v0")
        heard += [out, err]
        damage.gut(pgid(INVOICE))
    heard += ours("install", INVOICE, verbosity=0)
    assert heard == [""] * 8
    assert logging.getLogger("pgtrigger").handlers == before


@in_transaction
def test_a6_what_was_not_done_is_not_said_to_be_done() -> None:
    _, err = ours("install", INVOICE, PAYROLL, "-v2")
    assert err.count("unchanged") >= 2
    assert "nstalling" not in err
    damage.gut(pgid(INVOICE))
    _, err = ours("install", INVOICE, PAYROLL, "-v2")
    assert "replaced" in err
    assert "unchanged" in err


@in_transaction
def test_a7_a_dry_run_of_everything_prints_and_changes_nothing() -> None:
    for verb in ("disable", "uninstall", "prune", "install", "enable"):
        before = [mode(uri) for uri in (INVOICE, PRICES, CUSTOMER)]
        out, _ = ours(verb, "--dry-run")
        assert [mode(uri) for uri in (INVOICE, PRICES, CUSTOMER)] == before
        assert ("DISABLE TRIGGER" in out) == (verb == "disable")
        assert ("DROP TRIGGER" in out) == (verb == "uninstall")
    assert_clean(check())


@in_transaction
def test_a9_install_into_a_schema_works_for_a_body_with_a_percent_sign() -> None:
    with pytest.raises(Exception, match=r"index out of range|placeholder"):
        stock("install", "-s", "public", INVOICE)
    damage.gut(pgid(INVOICE))
    ours("install", "-s", "public", INVOICE)
    assert_refused(delete_an_invoice)
    assert_clean(check())
    ours("uninstall", "-s", "public", INVOICE)
    assert api.inspect(INVOICE)[0].installed is None
    ours("install", "-s", "public", INVOICE)
    assert_refused(delete_an_invoice)


@in_transaction
def test_a10_a_schema_keeps_its_case_and_one_that_does_not_exist_is_refused() -> None:
    run("CREATE SCHEMA {schema}", schema="Tenant1")
    run(
        "CREATE TABLE {t} (LIKE public.past_invoice INCLUDING ALL)",
        t=within("Tenant1", "past_invoice"),
    )
    with contextlib.redirect_stdout(io.StringIO()):
        assert stock_line(INVOICE, "-s", "Tenant1") == "UNINSTALLED N/A"
    ours("install", "-s", "Tenant1", INVOICE)
    out, _ = ours("ls", "-s", "Tenant1", INVOICE)
    assert out.split()[:2] == ["INSTALLED", "ENABLED"]
    for verb in ("install", "uninstall", "enable", "disable", "prune"):
        _, err = ours(verb, "-s", "nosuch", "--no-input", code=int(ExitCode.USAGE))
        assert "nosuch" in err


@in_transaction
def test_b12_a_copy_without_comments_gets_them_back_under_no_lock() -> None:
    named = (INVOICE, PRICES, CUSTOMER, POSTING)
    before = {one.uri: one for one in api.inspect(*named)}
    for one in before.values():
        run("COMMENT ON TRIGGER {t} ON {on} IS NULL", t=one.trigger, on=one.table)
    assert stock_line(INVOICE) == "OUTDATED ENABLED"
    plan, summary = ours("plan", *named)
    assert plan.count("COMMENT ON TRIGGER") == len(named)
    assert "strongest lock NONE" in plan + summary
    ours("install", *named)
    for one in api.inspect(*named):
        assert one.installed is not None
        assert one.installed.oid == getattr(before[one.uri].installed, "oid", None)
        assert one.facets == ()
    assert stock_line(INVOICE) == "INSTALLED ENABLED"


@in_transaction
@pytest.mark.parametrize("words", ["DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA"])
@pytest.mark.parametrize(
    ("uri", "table"), [(INVOICE, "past_invoice"), (POSTING, "awkward_posting")]
)
def test_c1_an_install_keeps_the_mode_that_it_finds(uri: str, table: str, words: str) -> None:
    switch(uri, table, words)
    letter = mode(uri)
    with transaction.atomic():
        stock("install", uri)
        assert mode(uri) == "O"
        transaction.set_rollback(True)
    damage.gut(pgid(uri))
    ours("install", uri)
    assert mode(uri) == letter
    run("COMMENT ON TRIGGER {t} ON {on} IS NULL", t=pgid(uri), on=table)
    ours("install", uri)
    run("ALTER FUNCTION {f}() RENAME TO other", f=pgid(uri))
    ours("install", uri)
    assert mode(uri) == letter


def alter_type(field: models.Field[Any, Any]) -> None:
    """Change the type of the e-mail column, as a migration does that knows of the trigger."""
    old = Customer._meta.get_field("email")
    field.set_attributes_from_name("email")
    field.model = Customer
    with connection.schema_editor() as editor:
        editor.alter_field(Customer, old, field)


def test_c2_a_column_of_another_type_keeps_the_lease_and_gets_the_comment_back(
    own_database: BaseDatabaseWrapper,
) -> None:
    ours("disable", CUSTOMER, "--for", "30m", "--reason", "import")
    assert mode(CUSTOMER) == "D"
    alter_type(models.TextField())
    (one,) = api.inspect(CUSTOMER)
    assert (mode(CUSTOMER), one.installed_hash) == ("O", None)
    assert stock_line(CUSTOMER) == "OUTDATED ENABLED"
    call_command("migrate", verbosity=0)
    assert mode(CUSTOMER) == "D"
    out, _ = ours("install", CUSTOMER, "--dry-run")
    sent = [
        line
        for line in out.splitlines()
        if line.startswith(("CREATE", "ALTER", "COMMENT", "DROP"))
    ]
    assert len(sent) == 1
    assert sent[0].startswith("COMMENT ON TRIGGER")
    ours("install", CUSTOMER)
    assert mode(CUSTOMER) == "D"
    assert stock_line(CUSTOMER) == "INSTALLED DISABLED"
    ours("enable", CUSTOMER)
    call_command("migrate", verbosity=0)
    assert mode(CUSTOMER) == "O"
    assert_clean(check())


@in_transaction
@pytest.mark.parametrize("verb", ["disable", "uninstall", "enable", "install"])
def test_c3_every_change_says_who_why_and_what(verb: str) -> None:
    if verb in ("enable", "install"):
        ours("disable" if verb == "enable" else "uninstall", INVOICE)
    ours(verb, INVOICE, "--reason", "ticket 7")
    newest = next(one for one in api.read_log(["default"], limit=10) if one.sql)
    assert (newest.verb, newest.reason, newest.uri) == (verb, "ticket 7", INVOICE)
    assert newest.actor.startswith("os:")
    assert newest.sql.split()[0] in ("ALTER", "DROP", "CREATE", "COMMENT")


@in_transaction
def test_c4_a_disable_can_end_and_is_an_error_when_its_time_is_over() -> None:
    ours("disable", INVOICE, "--for", "30m", "--reason", "import")
    assert_clean(check())
    run("UPDATE trigger_ops_triggerlease SET expires = now() - interval '1 second'")
    found = [one.id for one in check().findings if one.uri == INVOICE]
    assert "trigger_ops.E002" in found
    ours("enable", "--expired")
    assert mode(INVOICE) == "O"
    assert_clean(check())


@in_transaction
def test_c5_deferred_work_on_the_table_is_named_and_the_transaction_lives_on() -> None:
    Posting.objects.create(booking=1, amount=1)
    Posting.objects.create(booking=1, amount=-1)
    with pytest.raises(DatabaseError, match="pending trigger events"), transaction.atomic():
        stock("disable", POSTING)
    _, err = ours("disable", POSTING, code=int(ExitCode.REFUSED))
    assert "SET CONSTRAINTS ALL IMMEDIATE" in err
    assert Posting.objects.count() == 2
    run("SET CONSTRAINTS ALL IMMEDIATE")
    ours("disable", POSTING)
    assert mode(POSTING) == "D"


@in_transaction
def test_c6_a_view_that_cannot_be_switched_does_not_stop_the_others() -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        stock("disable", INVOICE, VIEW, PRICES)
    ours("disable")
    assert [mode(uri) for uri in (INVOICE, PRICES, CUSTOMER, VIEW)] == ["D", "D", "D", "O"]
    ours("enable")
    _, err = ours("disable", VIEW, INVOICE, code=int(ExitCode.PARTIAL))
    assert "uninstall it instead" in err
    assert mode(INVOICE) == "D"


@in_transaction
def test_d1_an_install_that_has_nothing_to_do_locks_no_table() -> None:
    assert locks() == set()
    with transaction.atomic():
        stock("install", INVOICE)
        assert "AccessExclusiveLock" in locks()
        transaction.set_rollback(True)
    assert locks() == set()
    ours("install")
    assert locks() == set()
    damage.gut(pgid(INVOICE))
    ours("install")
    assert locks() == set()


def test_d2_a_lock_that_never_comes_ends_the_wait_and_names_who_holds_it(
    own_database: BaseDatabaseWrapper, second_connection: Callable[..., BaseDatabaseWrapper]
) -> None:
    run("DROP TRIGGER {t} ON past_invoice", t=pgid(INVOICE))
    other = second_connection()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("LOCK TABLE past_invoice IN ROW EXCLUSIVE MODE")
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    _, err = ours(
        "install",
        INVOICE,
        "--lock-timeout",
        "50ms",
        "--lock-budget",
        "300ms",
        code=int(ExitCode.BUSY),
    )
    assert f"pid {pid}" in err
    other.rollback()
    ours("install", INVOICE)
    assert_clean(check())


def test_d3_a_failure_in_the_middle_is_summed_up_and_the_same_command_goes_on(
    own_database: BaseDatabaseWrapper,
) -> None:
    for uri in (INVOICE, PRICES):
        damage.gut(pgid(uri), returning="NEW")
    run(
        "CREATE FUNCTION stop() RETURNS event_trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF current_query() LIKE '%past_pricelist%' OR current_query() LIKE '%read_only_%' "
        "THEN RAISE 'not this one'; END IF; END $$"
    )
    run("CREATE EVENT TRIGGER stop ON ddl_command_end EXECUTE FUNCTION stop()")
    _, err = ours("install", INVOICE, PRICES, code=int(ExitCode.PARTIAL))
    assert "not this one" in err
    assert api.inspect(INVOICE)[0].facets == ()
    assert api.inspect(PRICES)[0].facets != ()
    run("DROP EVENT TRIGGER stop")
    ours("install", INVOICE, PRICES)
    assert_clean(check())


def test_d4_each_table_is_committed_before_the_next_is_locked(
    own_database: BaseDatabaseWrapper, second_connection: Callable[..., BaseDatabaseWrapper]
) -> None:
    for one in api.inspect("past"):
        if one.installed is not None and one.registered is not None:
            run("DROP TRIGGER {t} ON {on}", t=one.trigger, on=one.table)
    request = Request(verb=Verb.INSTALL, databases=("default",), selectors=("past",))
    ((pid,),) = run("SELECT pg_backend_pid()")
    other = second_connection()
    seen: list[tuple[int, int, int]] = []

    def look(done: int, total: int, table: str) -> None:
        with other.cursor() as cursor:
            cursor.execute(
                "SELECT count(*), (SELECT count(*) FROM pg_locks WHERE pid = %s AND mode IN "
                "('ShareRowExclusiveLock', 'AccessExclusiveLock')) FROM pg_trigger "
                "WHERE tgrelid::regclass::text LIKE 'past_%%' AND tgname LIKE 'pgtrigger_%%'",
                [pid],
            )
            seen.append((done, *cursor.fetchone()))

    ((orphans,),) = run(
        "SELECT count(*) FROM pg_trigger WHERE tgrelid::regclass::text LIKE 'past_%' "
        "AND tgname LIKE 'pgtrigger_%'"
    )
    report = api.apply(api.plan(request), actor="user:ada", on_progress=look)
    assert len(report.changed) == len(seen) - 1 == 7
    assert seen == [(number, orphans + number, 0) for number in range(8)]
    assert_clean(check())


def test_d5_installs_queue_and_touch_the_shared_function_only_if_it_differs(
    own_database: BaseDatabaseWrapper, second_connection: Callable[..., BaseDatabaseWrapper]
) -> None:
    run(
        "CREATE OR REPLACE FUNCTION _pgtrigger_should_ignore(trigger_name name) RETURNS boolean "
        "LANGUAGE plpgsql AS 'BEGIN RETURN false; END'"
    )
    version = "SELECT xmin::text FROM pg_proc WHERE proname = '_pgtrigger_should_ignore'"
    changed = run(version)
    other = second_connection()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [KEY])
    quickly = ("--lock-timeout", "50ms", "--lock-budget", "200ms")
    ours("install", *quickly, code=int(ExitCode.BUSY))
    assert run(version) == changed
    other.rollback()
    ours("install", *quickly)
    mended = run(version)
    assert mended != changed
    ours("install")
    damage.gut(pgid(INVOICE))
    ours("install")
    assert run(version) == mended
    assert_clean(check())


@in_transaction
def test_d9_a_role_that_owns_nothing_is_told_whom_to_ask_before_anything_is_tried() -> None:
    role = damage.make_role("guest")
    run("GRANT USAGE ON SCHEMA public TO {role}", role=role)
    run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", role=role)
    damage.gut(pgid(INVOICE))
    before = run("SELECT oid, xmin::text FROM pg_proc WHERE proname = %s", pgid(INVOICE))
    with transaction.atomic():
        run("SET LOCAL ROLE {role}", role=role)
        _, err = ours("install", INVOICE, code=int(ExitCode.REFUSED))
        run("RESET ROLE")
    assert role in err
    assert "ALTER FUNCTION" in err
    assert "OWNER TO" in err
    assert run("SELECT oid, xmin::text FROM pg_proc WHERE proname = %s", pgid(INVOICE)) == before
