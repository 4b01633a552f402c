"""What people do to triggers behind Django's back, by SQL, and what stock pgtrigger says then."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from typing import Any

import pgtrigger
from django.core.management import call_command
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql
from pgtrigger.management.commands.pgtrigger import Command as StockCommand

from trigger_ops.drift import Finding

_COLOUR = re.compile(r"\x1b\[\d+m")


def run(statement: str, *parameters: Any, using: str = "default", **names: str) -> list[Any]:
    """Run SQL of which every name in braces is one identifier; return the rows, if any.

    A name with a dot in it is a schema and a table.
    """
    identifiers = {key: sql.Identifier(*name.split("\0")) for key, name in names.items()}
    with connections[using].cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(**identifiers), parameters or None)
        return cursor.fetchall() if cursor.description else []


def within(schema: str, name: str) -> str:
    """Return a name for :func:`run` that stands for a thing inside a schema."""
    return f"{schema}\0{name}"


def pgid(uri: str) -> str:
    """Return the name that a registered trigger has in the database."""
    ((model, trigger),) = pgtrigger.registered(uri)
    return str(trigger.get_pgid(model))


def install_sql(uri: str) -> str:
    """Return the statements with which stock pgtrigger installs a trigger."""
    ((model, trigger),) = pgtrigger.registered(uri)
    return str(trigger.compile(model).install_sql)


def gut(function: str, *, returning: str = "OLD", schema: str = "public") -> None:
    """Replace the body of a trigger function by one that does nothing."""
    run(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RETURN {returning}; END $$",
        function=within(schema, function),
    )


def make_role(stem: str, *, options: str = "") -> str:
    """Create a role whose name no other test database uses; return the name."""
    name = f"{stem}_{connections['default'].settings_dict['NAME']}"[:63]
    run(f"CREATE ROLE {{role}} {options}", role=name)
    return name


def stock(*arguments: str) -> str:
    """Run a stock command; return what it printed, without colours."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        call_command(StockCommand(), *arguments)
    return _COLOUR.sub("", printed.getvalue())


def stock_line(uri: str, *arguments: str) -> str:
    """Return what stock ``ls`` says of one trigger: its status and whether it is enabled."""
    (line,) = [one for one in stock("ls", uri, *arguments).splitlines() if one.endswith(uri)]
    return " ".join(line.split()[:-1])


def repair(finding: Finding) -> None:
    """Do what a finding's ``fix`` says: a command, or statements of SQL."""
    words = shlex.split(finding.fix.partition(" -- ")[0])
    if words[:2] == ["manage.py", "pgtrigger"]:
        call_command("pgtrigger", *words[2:], "--no-input", verbosity=0)
        return
    with connections[finding.database].cursor() as cursor:
        cursor.execute(finding.fix)
