"""Has denials put on record wherever they happen: in a session or not, of statements and requests.

Statements are watched where Django turns the driver's errors into its own. That costs nothing
where no error is raised, and sees those of COMMIT and of fetching too. A cursor of the driver's
own, and another program such as psql, is past it: the server's log alone has what is refused there.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.utils import DatabaseErrorWrapper

from trigger_ops.catalog.transactions import first_line
from trigger_ops.exceptions import SessionOver, SessionRefused
from trigger_ops.ledger.sessions import REFUSED, REJECTED
from trigger_ops.records import Actor
from trigger_ops.registry import registered_names
from trigger_ops.sessions import current
from trigger_ops.sessions.actors import operating_system_actor
from trigger_ops.sessions.denials import Denial, given
from trigger_ops.sessions.entering import entrance_of, entrance_on
from trigger_ops.sessions.refusals import refusal_code

LOGGER = logging.getLogger("trigger_ops")

_IGNORED = re.compile(r"^trigger_ops: (.+?) is ignored in a session only")


class _Watch(DatabaseErrorWrapper):
    """Django's own, which notes what a rule of sessions refused before it raises that."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        self._connection = connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            _note(self._connection, error)
        super().__exit__(kind, error, traceback)


def watch_refusals() -> None:
    """Watch every connection of this process to PostgreSQL from now on; twice is once."""
    connection_created.connect(_watch, dispatch_uid="trigger_ops.watch_refusals")
    for connection in connections.all(initialized_only=True):
        _watch(connection)


def _watch(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if connection.vendor == "postgresql":
        # Django keeps it in the place of a property, once it was asked for.
        vars(connection)["wrap_database_errors"] = _Watch(connection)


def _note(connection: BaseDatabaseWrapper, error: BaseException) -> None:
    try:
        code = refusal_code(error)
        entrance = entrance_on(connection)
        if not code or current.is_asking() or (entrance is not None and entrance.listens):
            return
        # The cursor that met the error has not let go of the connection yet.
        entrance_of(connection).deny(_of_statement(connection, error, code), apart=True)
    except Exception:
        LOGGER.exception('A denial on "%s" is not on record', connection.alias)


def _of_statement(connection: BaseDatabaseWrapper, error: BaseException, code: str) -> Denial:
    message = first_line(error)
    found = _IGNORED.match(message)
    triggers = [found[1]] if found else []
    info = connection.connection.info
    present = current.sessions_on(connection)
    return Denial(
        kind=REFUSED,
        actor=present[0].actor if present else operating_system_actor(),
        session=present[0].id if present else None,
        detail={
            "code": code,
            "message": message,
            "triggers": [one.uri for one in registered_names() if one.pgid in triggers],
            "pgids": triggers,
            "role": info.user,
            "application": info.parameter_status("application_name") or "",
        },
    )


@contextlib.contextmanager
def rejections(
    alias: str,
    request: str,
    *,
    actor: Actor | str | None,
    session: int | None = None,
    triggers: Sequence[str] = (),
    reason: str = "",
) -> Iterator[None]:
    """Put on record that a request is not granted, by the rules of sessions, and raise it on.

    What makes no sense, such as a typo in a selector, is no request.
    """
    try:
        yield
    except (SessionRefused, SessionOver) as error:
        _reject(
            alias,
            Denial(
                kind=REJECTED,
                actor=given(_name(actor)),
                session=session,
                detail={
                    "code": refusal_code(error.__cause__ or error) or "",
                    "message": given(str(error)),
                    "request": request,
                    "triggers": [given(one) for one in triggers],
                    "reason": given(reason),
                },
            ),
        )
        raise


def _reject(alias: str, denial: Denial) -> None:
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return
    try:
        entrance_of(connection).deny(denial)
    except Exception:
        LOGGER.exception('A denial on "%s" is not on record', alias)


def _name(actor: Actor | str | None) -> str:
    if isinstance(actor, Actor):
        return actor.name
    return actor or operating_system_actor()
