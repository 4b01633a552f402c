"""A statement on its way to the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trigger_ops.sessions import statements


class Sending:
    """A statement on its way, as Django hands it to an execute wrapper.

    ``template`` is what is recorded of it, ``start`` that without the comments before it.
    """

    def __init__(
        self,
        execute: Callable[..., Any],
        sql: Any,
        params: Any,
        many: bool,  # noqa: FBT001 - as Django calls it
        context: Any,
    ) -> None:
        self.sql, self.params, self.many, self.context = sql, params, many, context
        self._execute = execute
        raw = context["connection"].connection
        self._text = statements.text_of(sql, raw)
        self.template = statements.template_of(self._text, raw)
        self.start = statements.beginning(self.template)

    def __call__(self) -> Any:
        """Send it as it is."""
        return self._execute(self.sql, self.params, self.many, self.context)

    def after(self, prefix: str) -> Any:
        """Send it in one message with what stands before it."""
        return self._execute(f"{prefix}{self.sql}", self.params, self.many, self.context)

    def runs_outside(self) -> bool:
        """Tell whether it is sent as it is where no transaction is open, even in a session."""
        return statements.is_named(self.context["cursor"]) or statements.runs_outside(self.start)

    def takes_one_statement(self) -> bool:
        """Tell whether its message may hold nothing else."""
        cursor = self.context["cursor"].cursor
        return self.many or not isinstance(self.sql, str) or statements.binds_on_server(cursor)

    def takes_back(self) -> bool:
        """Tell whether it rolls something back, anywhere in it."""
        return statements.rolls_back(self._text)

    def rows(self) -> int | None:
        """Return how many rows the driver reports, None where it does not know."""
        if statements.is_named(self.context["cursor"]):
            return None
        counted = int(self.context["cursor"].rowcount)
        return counted if counted >= 0 else None
