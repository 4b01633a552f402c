"""Reads and writes our own tables. Nobody else does."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping

from django.db import DatabaseError, connections, transaction
from django.utils.crypto import constant_time_compare, salted_hmac

from trigger_ops import conf
from trigger_ops.catalog.transactions import discarded, first_line
from trigger_ops.exceptions import DatabaseUnreadable
from trigger_ops.models import CanonicalForm

LOGGER = logging.getLogger("trigger_ops")
SALT = "trigger_ops.canonical_form"


def remembered_conditions() -> dict[str, str]:
    """Return canonical conditions by key; those with a wrong signature are left out.

    Empty where our tables are not migrated yet or cannot be read: then conditions are minted.
    """
    alias = conf.record_database()
    try:
        with _reading(alias):
            if not _exists(alias):
                return {}
            rows = list(
                CanonicalForm.objects.using(alias).values_list("key", "condition", "signature")
            )
    except (DatabaseError, DatabaseUnreadable) as error:
        # A database that is down is what the inspection itself will report.
        LOGGER.info("trigger_ops: no canonical forms from %s: %s", alias, first_line(error))
        return {}
    return {
        key: condition
        for key, condition, signature in rows
        if constant_time_compare(signature, _signature(key, condition))
    }


@contextlib.contextmanager
def _reading(alias: str) -> Iterator[None]:
    """Give a scope to read in: it waits for no lock for long, and leaves a transaction alone.

    Not ``transaction.atomic``: where the caller has autocommit off and the transaction is broken,
    that fails half-way and leaves the connection believing that it is in an atomic block.
    """
    connection = connections[alias]
    if connection.vendor != "postgresql":
        with transaction.atomic(using=alias):
            yield
        return
    timeouts = [str(conf.statement_timeout()), str(conf.lock_timeout())]
    with discarded(connection, read_only=True) as cursor:
        cursor.execute(
            "SELECT pg_catalog.set_config('statement_timeout', %s, true), "
            "pg_catalog.set_config('lock_timeout', %s, true)",
            timeouts,
        )
        yield


def remember_conditions(conditions: Mapping[str, str]) -> int:
    """Remember canonical conditions by key; return how many were written.

    Nothing is written, and nothing fails, where our tables are not migrated yet.
    """
    alias = conf.record_database()
    if not conditions:
        return 0
    with transaction.atomic(using=alias):
        if not _exists(alias):
            return 0
        CanonicalForm.objects.using(alias).bulk_create(
            [
                CanonicalForm(key=key, condition=text, signature=_signature(key, text))
                for key, text in conditions.items()
            ],
            batch_size=1000,
            update_conflicts=True,
            unique_fields=["key"],
            update_fields=["condition", "signature", "recorded"],
        )
    return len(conditions)


def _signature(key: str, condition: str) -> str:
    return salted_hmac(SALT, f"{key}\0{condition}", algorithm="sha256").hexdigest()


def _exists(alias: str) -> bool:
    """Ask by ``to_regclass``, never by a failing statement."""
    connection = connections[alias]
    table = CanonicalForm._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_catalog.to_regclass(%s) IS NOT NULL", [table])
            return bool(cursor.fetchone()[0])
        return table in connection.introspection.table_names(cursor)
