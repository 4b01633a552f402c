"""The two timeouts that a session lowers for a transaction, and puts back when it is left."""

from __future__ import annotations

from django.db.backends.postgresql.psycopg_any import sql

from trigger_ops.sql import Composable

_ASK = """\
SELECT e.before, pg_catalog.current_setting('statement_timeout'),
       pg_catalog.current_setting('idle_in_transaction_session_timeout')
  FROM """
_NAMES = ("statement_timeout", "idle_in_transaction_session_timeout")

# A timeout that somebody else has set since is left as it is.
_RESTORE = """\
CASE WHEN pg_catalog.current_setting({name}) OPERATOR(pg_catalog.=) ANY (ARRAY[{lowered}]::pg_catalog.text[])
     THEN pg_catalog.set_config({name}, {original}, true) END"""


class Timeouts:
    """What the timeouts of one transaction were before any session, and became in one."""

    def __init__(self) -> None:
        self.lowered: set[tuple[str, str]] = set()
        self._originals: tuple[str, ...] | None = None

    def asking(self, call: str) -> str:
        """Return the statement that enters and tells the timeouts before and after."""
        return f"{_ASK}{call} AS e (before)"

    def note(self, before: str, *after: str) -> None:
        """Note what entering said. Of several times, the first one knew the originals."""
        if self._originals is None:
            self._originals = tuple(before.split(" "))
        self.lowered |= {
            (name, now)
            for name, now, original in zip(_NAMES, after, self._originals, strict=True)
            if now != original
        }

    def restoring(self) -> Composable:
        """Return the statement that leaves all sessions, and puts the timeouts back."""
        parts = [sql.SQL("pg_catalog.set_config('trigger_ops.session', '', true)")]
        for name, original in zip(_NAMES, self._originals or (), strict=False):
            lowered = [sql.Literal(value) for one, value in self.lowered if one == name]
            if lowered:
                parts.append(
                    sql.SQL(_RESTORE).format(
                        name=sql.Literal(name),
                        lowered=sql.SQL(", ").join(lowered),
                        original=sql.Literal(original),
                    )
                )
        return sql.SQL("SELECT {}").format(sql.SQL(", ").join(parts))
