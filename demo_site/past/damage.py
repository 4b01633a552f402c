"""What happened to the triggers of this app: the past that the demo database is given."""

from __future__ import annotations

from typing import Any

import pgtrigger
from django.db import connection, models, transaction
from django.db.backends.postgresql.psycopg_any import sql
from django.db.migrations.loader import MigrationLoader

from demo_site.past.models import Contract, Customer, Invoice, Payroll, Receipt, Shipment

#: The migration whose version of the trigger of ``PriceList`` is left in the database.
OLD_PRICES = ("past", "0001_initial")

#: The name of the administrator's trigger and of its function. It only looks like one of ours.
AUDIT = "pgtrigger_audit"


def apply() -> list[str]:
    """Damage five triggers in the database ``default``; return a sentence about each.

    Applied twice, it leaves what it leaves applied once. The migrations must have run.
    """
    with transaction.atomic():
        return [gut(), outdate(), disable(), orphan(), foreign()]


def gut() -> str:
    """Replace the body of a trigger's function. Its trigger, comment and hash stay."""
    function = _pgid(Invoice, "protect_deletes")
    _execute(
        """
        CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RETURN OLD;
        END;
        $$
        """,
        function=function,
    )
    return "past.Invoice:protect_deletes does nothing: the body of its function was replaced."


def outdate() -> str:
    """Put back what an older migration installed. The newer one stays recorded as applied."""
    state = MigrationLoader(connection).project_state(OLD_PRICES)
    (trigger,) = state.models["past", "pricelist"].options["triggers"]
    with connection.cursor() as cursor:
        cursor.execute(trigger.install_sql)
    return f"past.PriceList:read_only is the one of {'.'.join(OLD_PRICES)}."


def disable() -> str:
    """Disable a trigger, as for one correction by hand."""
    _execute(
        "ALTER TABLE {table} DISABLE TRIGGER {trigger}",
        table=_table(Payroll),
        trigger=_pgid(Payroll, "read_only_employee"),
    )
    return "past.Payroll:read_only_employee is disabled."


def orphan() -> str:
    """Install a trigger of older code: pgtrigger made it, no model declares it any more."""
    model: Any = Contract  # the library's hints ask for a row
    trigger = pgtrigger.Protect(
        name="protect_signed",
        operation=pgtrigger.Update,
        condition=pgtrigger.Q(old__signed=True),
    ).compile(model)
    with connection.cursor() as cursor:
        cursor.execute(trigger.install_sql)
    return f"{trigger.sql.pgid} is on the table of past.Contract, and no code declares it."


def foreign() -> str:
    """Create what a database administrator might: a log table, a function and a trigger."""
    _execute(
        """
        CREATE TABLE IF NOT EXISTS public.dba_audit (
            at timestamptz NOT NULL DEFAULT now(),
            role name NOT NULL DEFAULT current_user,
            operation text NOT NULL,
            table_name name NOT NULL
        );
        CREATE OR REPLACE FUNCTION public.{name}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO public.dba_audit (operation, table_name) VALUES (TG_OP, TG_TABLE_NAME);
            RETURN NULL;
        END;
        $$;
        CREATE OR REPLACE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION public.{name}()
        """,
        name=AUDIT,
        table=_table(Shipment),
    )
    return f"{AUDIT} is on the table of past.Shipment: the administrator's own trigger."


def repaired() -> None:
    """Damage two triggers that somebody repaired since. Whoever calls this rolls it back."""
    _execute(
        """
        DROP TRIGGER {dropped} ON {table};
        CREATE OR REPLACE FUNCTION {gutted}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RETURN NEW;
        END;
        $$
        """,
        dropped=_pgid(Receipt, "append_only"),
        table=_table(Receipt),
        gutted=_pgid(Customer, "read_only_email"),
    )


def _pgid(model: type[models.Model], name: str) -> str:
    ((registered, trigger),) = pgtrigger.registered(f"{model._meta.label}:{name}")
    return str(trigger.get_pgid(registered))


def _table(model: type[models.Model]) -> str:
    return model._meta.db_table


def _execute(statements: str, **names: str) -> None:
    """Run SQL of which every name in braces is one identifier."""
    identifiers: dict[str, Any] = {key: sql.Identifier(name) for key, name in names.items()}
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(statements).format(**identifiers))
