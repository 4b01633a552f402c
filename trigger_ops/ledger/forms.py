"""Canonical conditions, signed, so that they need not be asked for again."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from django.db import DatabaseError, connections, transaction
from django.utils.crypto import constant_time_compare, salted_hmac

from trigger_ops import conf
from trigger_ops.catalog.transactions import first_line
from trigger_ops.exceptions import DatabaseUnreadable
from trigger_ops.ledger.tables import reading
from trigger_ops.models import CanonicalForm

LOGGER = logging.getLogger("trigger_ops")
SALT = "trigger_ops.canonical_form"


def remembered_conditions() -> dict[str, str]:
    """Return canonical conditions by key; those with a wrong signature are left out.

    Empty where our tables are not migrated yet or cannot be read: then conditions are minted.
    """
    alias = conf.record_database()
    try:
        with reading(alias):
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
