"""Ways round that touch no trigger, no function and no table of the project."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Invoice
from tests import damage
from tests.damage import pgid, run
from tests.weaknesses.acts import delete_an_invoice
from tests.weaknesses.conftest import default_at
from tests.weaknesses.expectations import (
    INVOICE,
    assert_clean,
    bad,
    check,
    only,
    repair_and_check,
    the,
    tried,
)
from trigger_ops import api
from trigger_ops.inspection import Scope

in_transaction = pytest.mark.django_db


@in_transaction
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM django_migrations WHERE app = 'past'",
        "DROP TABLE django_migrations",
        """
        ALTER TABLE django_migrations RENAME TO other;
        CREATE VIEW django_migrations AS SELECT * FROM other WHERE app <> 'past'
        """,
    ],
)
def test_a_missing_trigger_is_not_excused_by_a_record_that_is_gone(statement: str) -> None:
    """A table that exists was made by some migration, whatever the record says."""
    run("DROP TRIGGER {trigger} ON past_invoice", trigger=pgid(INVOICE))
    run(statement)
    with tried():
        delete_an_invoice()
    assert ("trigger_ops.E001", INVOICE) in bad(check())


@in_transaction
def test_reading_runs_no_code_of_whoever_made_a_view_of_that_name() -> None:
    """A view's functions run with the rights of who reads it, and check is often a superuser."""
    run("CREATE TABLE ran (id int)")
    run("CREATE SEQUENCE trap")
    run("ALTER TABLE django_migrations RENAME TO other")
    run(
        "CREATE VIEW django_migrations AS "
        "SELECT id, app, name, applied FROM other WHERE nextval('trap') > 0"
    )
    check()
    assert run("SELECT is_called FROM trap") == [(False,)]


@in_transaction
def test_a_search_path_that_puts_other_functions_before_postgresqls_own() -> None:
    role = damage.make_role("detour")
    run("ALTER ROLE {role} SET search_path = evil, pg_catalog, public", role=role)
    finding = only(check(), "C003", None)
    assert role in finding.message
    repair_and_check(finding)


def test_connection_options_that_ignore_triggers(own_database: BaseDatabaseWrapper) -> None:
    invoice = Invoice.objects.create(number="2026-900", total=1)
    options = {
        **own_database.settings_dict["OPTIONS"],
        "options": f"-c pgtrigger.ignore={{{pgid(INVOICE)}}}",
    }
    with default_at(NAME=own_database.settings_dict["NAME"], OPTIONS=options):
        assert Invoice.objects.filter(pk=invoice.pk).delete()[0] == 1
        finding = only(check(), "C003", None)
        assert finding.message.startswith("New sessions start with pgtrigger.ignore")
    assert_clean(check())


def test_a_setting_stored_in_capitals_works_and_is_seen(
    own_database: BaseDatabaseWrapper,
    second_connection: Callable[..., BaseDatabaseWrapper],
) -> None:
    """Names of settings know no case, but a session that never met one stores it as written."""
    invoice = Invoice.objects.create(number="2026-900", total=1)
    name = str(own_database.settings_dict["NAME"])
    with second_connection().cursor() as cursor:
        quoted = connection.ops.quote_name(name)
        cursor.execute(
            f'ALTER DATABASE {quoted} SET "PGTRIGGER"."Ignore" = %s', [f"{{{pgid(INVOICE)}}}"]
        )
    assert run("SELECT 1 FROM pg_db_role_setting WHERE array_to_string(setconfig, '') ~ 'Ignore'")
    with second_connection().cursor() as cursor:
        cursor.execute("DELETE FROM past_invoice WHERE id = %s", [invoice.pk])
        assert cursor.rowcount == 1
    finding = only(check(), "C003", None)
    with second_connection().cursor() as cursor:
        cursor.execute(finding.fix)
    assert_clean(check())


@in_transaction
def test_the_value_of_a_setting_knows_no_case_either() -> None:
    run(
        "ALTER ROLE {role} SET session_replication_role = 'REPLICA'", role=damage.make_role("loud")
    )
    repair_and_check(only(check(), "C003", None))


def make_meddler() -> None:
    """Make a function that ignores a trigger for the rest of the session."""
    run(
        "CREATE FUNCTION public.meddle() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM set_config('pgtrigger.ignore', %s, false); RETURN true; END $$",
        f"{{{pgid(INVOICE)}}}",
    )


EXPRESSIONS = {
    "default": "ALTER TABLE elsewhere ADD COLUMN flag boolean DEFAULT public.meddle()",
    "check": "ALTER TABLE elsewhere ADD CHECK (public.meddle())",
    "rule": "CREATE RULE also AS ON INSERT TO elsewhere DO ALSO SELECT public.meddle()",
}


@in_transaction
@pytest.mark.parametrize("case", EXPRESSIONS)
def test_an_expression_of_any_table_that_switches_triggers_off(case: str) -> None:
    """It acts as a trigger does, and stands in no list of triggers."""
    make_meddler()
    run("CREATE TABLE elsewhere (id int)")
    report = check()
    assert_clean(report)
    assert "meddle()" in the(report, "I014").message  # as long as nothing makes it run unasked
    run(EXPRESSIONS[case])
    run("SELECT set_config('pgtrigger.ignore', '', false)")
    with tried():
        run("INSERT INTO elsewhere VALUES (1)")
        delete_an_invoice()
    finding = only(check(), "C003", None)
    assert "public.meddle" in finding.message
    assert "trigger_ops.I014" not in {one.id for one in check().findings}
    run("DROP TABLE elsewhere")
    run("SELECT set_config('pgtrigger.ignore', '', false)")
    assert_clean(check())


def test_an_event_trigger_that_switches_triggers_off(
    own_database: BaseDatabaseWrapper,
    second_connection: Callable[..., BaseDatabaseWrapper],
) -> None:
    """From PostgreSQL 17 on it can do so at every login, for everybody and with no setting."""
    event = "login" if own_database.pg_version >= 170000 else "ddl_command_end"
    run(
        "CREATE FUNCTION public.meddle() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM set_config('pgtrigger.ignore', %s, false); END $$",
        f"{{{pgid(INVOICE)}}}",
    )
    run(f"CREATE EVENT TRIGGER at_login ON {event} EXECUTE FUNCTION public.meddle()")
    invoice = Invoice.objects.create(number="2026-900", total=1)
    with second_connection().cursor() as cursor:
        if event != "login":
            cursor.execute("CREATE TABLE something (id int)")
        cursor.execute("DELETE FROM past_invoice WHERE id = %s", [invoice.pk])
        assert cursor.rowcount == 1
    finding = only(check(), "C003", None)
    assert "at_login" in finding.message
    repair_and_check(finding)


def test_a_search_path_of_the_databases_owner_runs_no_code_of_his(
    own_database: BaseDatabaseWrapper,
) -> None:
    """Who owns a database chooses its search_path, and a superuser's check must not call his functions."""
    name = str(own_database.settings_dict["NAME"])
    run("CREATE SCHEMA evil")
    run("CREATE SEQUENCE evil.trap")
    for signature, answer in {
        "set_config(text, text, boolean)": "pg_catalog.set_config($1, $2, $3)",
        "current_setting(text)": "pg_catalog.current_setting($1)",
        "current_schema()": "pg_catalog.current_schema()",
        "current_database()": "pg_catalog.current_database()",
        "pg_is_in_recovery()": "pg_catalog.pg_is_in_recovery()",
    }.items():
        run(
            f"CREATE FUNCTION evil.{signature} RETURNS text LANGUAGE sql "
            f"AS $$ SELECT nextval('evil.trap'); SELECT {answer}::text $$"
        )
    run("ALTER DATABASE {name} SET search_path = evil, pg_catalog, public", name=name)
    with default_at(NAME=name):
        # Django itself calls set_config() at connecting, and so does every command.
        (before,) = run("SELECT last_value FROM evil.trap")
        report = check()
        api.survey(scope=Scope(path=("public",)))
        assert run("SELECT last_value FROM evil.trap") == [before]
        finding = only(report, "C003", None)
        damage.repair(finding)
    with default_at(NAME=name):
        assert_clean(check())
