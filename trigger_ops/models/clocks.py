"""What the database itself knows best, as defaults of columns: its clocks, and the transaction."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BigIntegerField, Func
from django.db.models.functions import Now
from django.db.models.sql.compiler import SQLCompiler


class TransactionTime(Now):
    """When the transaction began. Django's ``Now`` is the statement's beginning."""

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, Any]:
        """Compile for PostgreSQL; elsewhere it is whatever ``Now`` is there."""
        return self.as_sql(compiler, connection, template="TRANSACTION_TIMESTAMP()", **context)


class ClockTime(Now):
    """What the database's clock says, which moves on inside a transaction."""

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, Any]:
        """Compile for PostgreSQL; elsewhere it is whatever ``Now`` is there."""
        return self.as_sql(compiler, connection, template="CLOCK_TIMESTAMP()", **context)


class ThisTransaction(Func):
    """The number of the transaction, unique in one cluster. There is none but in PostgreSQL."""

    arity = 0
    template = "NULL"

    def __init__(self) -> None:
        super().__init__(output_field=BigIntegerField())

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, Any]:
        """Compile for PostgreSQL; elsewhere it is null."""
        template = "PG_CURRENT_XACT_ID()::TEXT::BIGINT"
        return self.as_sql(compiler, connection, template=template, **context)
