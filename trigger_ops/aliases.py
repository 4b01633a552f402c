"""How a command that we print names the database that it is for."""

from __future__ import annotations

import shlex

from django.db import DEFAULT_DB_ALIAS


def for_pgtrigger(alias: str) -> str:
    """Return what to put behind a verb of ``manage.py pgtrigger``; "" for the default database."""
    return "" if alias == DEFAULT_DB_ALIAS else f" -d {shlex.quote(alias)}"


def for_migrate(alias: str) -> str:
    """Return what to put behind ``manage.py migrate``; "" for the default database."""
    return "" if alias == DEFAULT_DB_ALIAS else f" --database {shlex.quote(alias)}"
