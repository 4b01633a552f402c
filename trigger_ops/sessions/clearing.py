"""Ends connections that lock a session in an open transaction, which would put off its end.

Whoever extends, reviews or ends a session locks its row until the transaction is over. As long as
it is not, nobody can revoke the session, and it need not be in it to go on with it elsewhere.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.exceptions import SessionRefused
from trigger_ops.sessions.beside import beside
from trigger_ops.sessions.refusals import state_of

NO_RIGHT = "42501"

PAUSE_SECONDS = 0.02

_PATIENCE = "SELECT pg_catalog.set_config('lock_timeout', '3s', true)"
_WHO = "SELECT pg_catalog.pg_backend_pid()"

# Only for a row: whoever locks the whole table, such as a migration, has a reason of its own.
_IN_THE_WAY = """\
  FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids({waiting})) b (pid)
 WHERE b.pid OPERATOR(pg_catalog.>) 0
   AND EXISTS (SELECT FROM pg_catalog.pg_locks l
                WHERE l.pid OPERATOR(pg_catalog.=) {waiting} AND NOT l.granted
                  AND l.locktype OPERATOR(pg_catalog.=) ANY (ARRAY['transactionid', 'tuple']))"""
_BLOCKERS = f"SELECT DISTINCT b.pid {_IN_THE_WAY} ORDER BY b.pid"
_TERMINATE = f"SELECT pg_catalog.pg_terminate_backend(b.pid) {_IN_THE_WAY} AND b.pid OPERATOR(pg_catalog.=) {{pid}} LIMIT 1"


class Clearing:
    """Has those ended who lock the row that a statement waits for.

    ``ended`` are their pids, ``denied`` those that this role has no right to end; ``refusal`` says
    why nobody could be looked for.
    """

    def __init__(self, alias: str) -> None:
        self.ended: list[int] = []
        self.denied: list[int] = []
        self.refusal: SessionRefused | None = None
        self._alias = alias
        self._done = threading.Event()

    @contextlib.contextmanager
    def around(self, connection: BaseDatabaseWrapper) -> Iterator[None]:
        """Make way for the statement that is run inside, on this connection."""
        with connection.cursor() as cursor:
            cursor.execute(_PATIENCE)
            cursor.execute(_WHO)
            ((waiting,),) = cursor.fetchall()
        of = connections[self._alias]
        watch = threading.Thread(target=self._watch, args=(of, waiting), daemon=True)
        watch.start()
        try:
            yield
        finally:
            self._done.set()
            watch.join()

    def _watch(self, of: BaseDatabaseWrapper, waiting: int) -> None:
        try:
            with beside(self._alias, apart=True, of=of) as connection:
                while not self._done.wait(PAUSE_SECONDS):
                    self._end_blockers(connection, waiting)
        except SessionRefused as error:
            self.refusal = error
        except (DatabaseError, InterfaceError):
            pass  # the statement tells that it waits in vain

    def _end_blockers(self, connection: BaseDatabaseWrapper, waiting: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(_BLOCKERS).format(waiting=sql.Literal(waiting)))
            blockers = [pid for (pid,) in cursor.fetchall()]
        for pid in blockers:
            if pid in self.ended or pid in self.denied:
                continue
            try:
                with connection.cursor() as cursor:
                    cursor.execute(
                        sql.SQL(_TERMINATE).format(
                            waiting=sql.Literal(waiting), pid=sql.Literal(pid)
                        )
                    )
                    if cursor.fetchall():
                        self.ended.append(pid)
            except DatabaseError as error:
                if state_of(error) != NO_RIGHT:
                    raise
                connection.rollback()
                self.denied.append(pid)
