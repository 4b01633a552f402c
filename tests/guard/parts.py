"""Pieces of a guard put in place by hand: the gate, a witness, and the stock function."""

from __future__ import annotations

import dataclasses

from django.db import connections, transaction

from tests.damage import run, within
from trigger_ops.guard.wanting import wanted_guard
from trigger_ops.inspection.guarding import CONDITION
from trigger_ops.inspection.ignoring import stock_ignore_body
from trigger_ops.models import Guard
from trigger_ops.sql.functions import expected_functions

IGNORE = "_pgtrigger_should_ignore"
BODY = (
    f"SELECT prosrc FROM pg_proc WHERE proname = '{IGNORE}' "
    "AND pronamespace = quote_ident(%s)::regnamespace"
)


def body(schema: str = "public") -> str:
    """Return the body of the ignore function in one schema."""
    return str(run(BODY, schema)[0][0])


def gate_body(home: str = "public") -> str:
    """Return the body that the gate should have."""
    return expected_functions("guard", home=home, schema="public")[-1].body


def put_stock_body(schema: str = "public") -> None:
    """Do what a process does that has pgtrigger and not us."""
    run(
        "CREATE OR REPLACE FUNCTION {function}(trigger_name name) RETURNS boolean "
        f"LANGUAGE plpgsql AS $${stock_ignore_body()}$$",
        function=within(schema, IGNORE),
    )


def put_gate() -> None:
    """Put the functions and the row of a guard into `default`, without witnesses.

    The ledger has the row, as it has whatever `guard install` writes.
    """
    for function in expected_functions("guard", home="public", schema="public"):
        with connections["default"].cursor() as cursor:
            cursor.execute(function.statement)
    wanted = wanted_guard("default", "public")
    limits = dataclasses.asdict(wanted.limits)
    with transaction.atomic():
        Guard.objects.create(policy=wanted.policy, uris=wanted.uris, **limits)
        enter("INSERT INTO trigger_ops_guard")


def enter(text: str) -> None:
    """Enter a statement of this transaction into the ledger, as a run of ours does."""
    run(
        "INSERT INTO trigger_ops_ledgerentry (run, kind, verb, actor, sql) "
        "VALUES (gen_random_uuid(), 'statement', 'guard install', 'os:ann@web1', %s)",
        text,
    )


def put_witness(table: str = "past_receipt", *, schema: str = "public") -> None:
    """Put the row witness and the TRUNCATE witness on a table whose triggers all decide early."""
    _put(
        schema,
        table,
        "trigger_ops_witness",
        f"AFTER INSERT OR UPDATE OR DELETE ON {{table}} FOR EACH ROW {CONDITION} "
        "EXECUTE FUNCTION public.trigger_ops_witness_row('alone', '{{}}')",
    )
    _put_replica(schema, table, "alone")
    _put_truncate(schema, table)


def put_late_witnesses(*tables: str, schema: str = "public") -> None:
    """Put all witnesses on a table and its partitions; some trigger decides at a statement's end."""
    for table in tables:
        if table == tables[0]:
            _put(
                schema,
                table,
                "trigger_ops_witness",
                f"AFTER INSERT OR UPDATE OR DELETE ON {{table}} FOR EACH ROW {CONDITION} "
                "EXECUTE FUNCTION public.trigger_ops_witness_row('both', '{{}}')",
            )
            _put_replica(schema, table, "both")
        for word, rows in (
            ("insert", "NEW TABLE AS trigger_ops_new"),
            ("update", "OLD TABLE AS trigger_ops_old NEW TABLE AS trigger_ops_new"),
            ("delete", "OLD TABLE AS trigger_ops_old"),
        ):
            _put(
                schema,
                table,
                f"trigger_ops_witness_{word}",
                f"AFTER {word.upper()} ON {{table}} REFERENCING {rows} FOR EACH STATEMENT "
                "EXECUTE FUNCTION public.trigger_ops_witness_rows('rows', '{{}}')",
            )
        _put_truncate(schema, table)


def _put_truncate(schema: str, table: str) -> None:
    _put(
        schema,
        table,
        "trigger_ops_witness_truncate",
        "BEFORE TRUNCATE ON {table} FOR EACH STATEMENT "
        "EXECUTE FUNCTION public.trigger_ops_witness_truncate()",
    )


def _put_replica(schema: str, table: str, how: str) -> None:
    _put(
        schema,
        table,
        "trigger_ops_witness_replica",
        "AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW "
        f"EXECUTE FUNCTION public.trigger_ops_witness_row('{how}', '{{{{}}}}', 'replica')",
        mode="REPLICA",
    )


def _put(schema: str, table: str, name: str, rest: str, *, mode: str = "ALWAYS") -> None:
    names = {"name": name, "table": within(schema, table)}
    run(f"CREATE TRIGGER {{name}} {rest}", **names)
    run(f"ALTER TABLE {{table}} ENABLE {mode} TRIGGER {{name}}", **names)
