"""Copies of a database for tests that commit, used again where a test wrote nothing but rows.

To make a database takes a server a moment, to drop one takes it a checkpoint. What a test did to
its copy is therefore looked up in the catalogs, and if they are as they were the rows are put
back and the next test gets the copy, under another name. Any doubt, and the copy is dropped.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql
from django.db.utils import load_backend

_CATALOGS = """
SELECT c.oid::regclass::text FROM pg_class c
 WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND NOT c.relisshared
   AND c.relname NOT IN ('pg_statistic', 'pg_statistic_ext_data')"""

_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND c.relpersistence <> 't'"""

_REFERRING = """
WITH RECURSIVE named(oid) AS (
    SELECT one::regclass::oid FROM unnest(%s::text[]) one
     UNION SELECT c.conrelid FROM pg_constraint c JOIN named ON c.confrelid = named.oid)
SELECT format('%%I.%%I', n.nspname, c.relname) FROM named
  JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace"""

_SEQUENCES = """
SELECT format('%I.%I', schemaname, sequencename), last_value, start_value FROM pg_sequences"""

_SET = """
SELECT setval(name::regclass, value, called)
  FROM unnest(%s::text[], %s::bigint[], %s::boolean[]) one(name, value, called)"""

# What belongs to a database and is not in it.
_AROUND = """
SELECT d.datdba::text, d.datacl::text, d.datallowconn, d.datconnlimit,
       (SELECT count(*) FROM pg_db_role_setting s WHERE s.setdatabase = d.oid),
       (SELECT count(*) FROM pg_shdescription s WHERE s.objoid = d.oid),
       (SELECT count(*) FROM pg_subscription s WHERE s.subdbid = d.oid),
       (SELECT count(*) FROM pg_prepared_xacts x WHERE x.database = d.datname),
       (SELECT count(*) FROM pg_replication_slots r WHERE r.database = d.datname)
  FROM pg_database d WHERE d.datname = current_database()"""


class Spoilt(Exception):
    """A test changed more of its copy than rows."""


@dataclass(frozen=True)
class Contents:
    """What every copy of one template begins with."""

    around: tuple[Any, ...]
    catalogs: dict[str, int]
    tables: dict[str, int]
    rows: dict[str, list[str]]
    sequences: dict[str, tuple[int | None, int]]


@dataclass
class Copies:
    """The copies of one database, on the server where `default` is when they are first made."""

    template: str
    _settings: dict[str, Any] = field(default_factory=lambda: connections["default"].settings_dict)
    _spare: list[str] = field(default_factory=list)
    _since: dict[str, str] = field(default_factory=dict)
    """The transaction of the server after which a copy was as it should be."""
    _first: Contents | None = None
    _server: Any = None
    _dropped: list[Future[None]] = field(default_factory=list)
    _drops: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def take(self) -> str:
        """Return the name of a copy that no test has seen, or that looks as if none had."""
        # A database somebody is connected to cannot be copied.
        connections.close_all()
        while self._spare:
            used, name = self._spare.pop(), new_name()
            cleaned = f"test_{used}"
            self._wait_until_alone(used)
            self._maintain("ALTER DATABASE {} RENAME TO {}", used, cleaned)
            if not self._clean(cleaned, self._since.pop(used)):
                self._drop_soon(cleaned)
                continue
            self._wait_until_alone(cleaned)
            self._maintain("ALTER DATABASE {} RENAME TO {}", cleaned, name)
            self._since[name] = self._since.pop(cleaned)
            return name
        return self._make()

    def give_back(self, name: str) -> None:
        """Take a copy that a test is done with, whatever the test did to it."""
        if name not in self._since:
            raise ValueError(f"{name} is no copy of {self.template} that is in use.")
        self._end_connections(name)
        self._spare.append(name)

    def close(self) -> None:
        """Drop all copies."""
        for name in self._since:
            self._drop_soon(name)
        self._drops.shutdown()
        if self._server is not None:
            self._server.close()
        for done in self._dropped:
            done.result()

    def _make(self) -> str:
        name = new_name()
        self._maintain("CREATE DATABASE {} TEMPLATE {}", name, self.template)
        if self._first is None:
            with contextlib.closing(self._connect(name)) as connection:
                self._first = _read(connection)
            self._wait_until_alone(name)
        self._since[name] = _now(self._server)
        return name

    def _clean(self, name: str, since: str) -> bool:
        """Tell whether a copy has been made what it was; remember since when it is."""
        assert self._first is not None
        try:
            with contextlib.closing(self._connect(name)) as connection:
                _restore(connection, self._first, since)
                self._since[name] = _now(connection)
        except (Spoilt, connections["default"].Database.Error):
            return False
        return True

    def _connect(self, name: str) -> Any:
        """Connect as Django would, past pytest-django's ban on connections."""
        wrapper = load_backend(self._settings["ENGINE"]).DatabaseWrapper(
            {**self._settings, "NAME": name}, "copies"
        )
        connection = wrapper.get_new_connection(wrapper.get_connection_params())
        connection.autocommit = True
        _ask(connection, "SET synchronous_commit = off")
        # To start workers takes longer than to count what a copy has.
        _ask(connection, "SET max_parallel_workers_per_gather = 0")
        return connection

    def _maintain(self, statement: str, *names: str) -> None:
        if self._server is None:
            self._server = self._connect("postgres")
        with self._server.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _end_connections(self, name: str) -> int:
        """End what is connected to a copy; return how many connections that were."""
        ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
        with self._server.cursor() as cursor:
            cursor.execute(ended, [name])
            return int(cursor.fetchone()[0])

    def _wait_until_alone(self, name: str) -> None:
        """Wait for connections that were closed just now: RENAME itself would look once in 0.1 s."""
        deadline = time.monotonic() + 30
        while self._end_connections(name) and time.monotonic() < deadline:
            time.sleep(0.002)

    def _drop_soon(self, name: str) -> None:
        def drop() -> None:
            with (
                contextlib.closing(self._connect("postgres")) as server,
                server.cursor() as cursor,
            ):
                statement = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
                cursor.execute(statement)

        self._dropped.append(self._drops.submit(drop))


def new_name() -> str:
    """Return a name that no database has."""
    return f"weak_{uuid.uuid4().hex[:12]}"


def _ask(connection: Any, statement: Any, parameters: list[Any] | None = None) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall()) if cursor.description else []


def _now(connection: Any) -> str:
    return str(_ask(connection, "SELECT pg_current_xact_id()::xid::text")[0][0])


def _read(connection: Any) -> Contents:
    """Read what a copy begins with."""
    tables = _count(connection, _names(connection, _TABLES))
    rows = {
        table: [row[0] for row in _ask(connection, f"SELECT one::text FROM {table} one")]
        for table, number in tables.items()
        if number
    }
    return Contents(
        around=_ask(connection, _AROUND)[0],
        catalogs=_count(connection, _names(connection, _CATALOGS)),
        tables=tables,
        rows=rows,
        sequences=_sequences(connection),
    )


def _names(connection: Any, statement: str) -> list[str]:
    return [row[0] for row in _ask(connection, statement)]


def _sequences(connection: Any) -> dict[str, tuple[int | None, int]]:
    return {name: (last, start) for name, last, start in _ask(connection, _SEQUENCES)}


def _count(connection: Any, names: list[str]) -> dict[str, int]:
    return {name: number for name, number, _ in _compare(connection, names, None)}


def _compare(connection: Any, names: list[str], since: str | None) -> list[tuple[str, int, bool]]:
    """Return of each relation how many rows it has, and whether any was written after ``since``."""
    if not names:
        return []
    newer = sql.SQL("false")
    if since is not None:
        newer = sql.SQL("age(xmin) < (SELECT age({}::xid))").format(sql.Literal(since))
    one = "SELECT {}, count(*), coalesce(bool_or({}), false) FROM "
    # The names are quoted as the server quotes them.
    parts = [sql.SQL(one).format(sql.Literal(name), newer) + sql.SQL(name) for name in names]
    return _ask(connection, sql.SQL(" UNION ALL ").join(parts))


def _changed(connection: Any, expected: dict[str, int], since: str | None) -> list[str]:
    return [
        name
        for name, number, is_newer in _compare(connection, list(expected), since)
        if is_newer or number != expected[name]
    ]


def _restore(connection: Any, contents: Contents, since: str) -> None:
    """Put back the rows of a copy whose name begins with `test_`, where evidence may be emptied.

    Raises :class:`Spoilt`, or what the database says, if more than that would be needed.
    """
    if _ask(connection, _AROUND)[0] != contents.around:
        raise Spoilt
    if _changed(connection, contents.catalogs, since):
        raise Spoilt
    # Witnesses and guards stay on and what pgtrigger put there does not.
    _ask(connection, "SET session_replication_role = replica")
    emptied = _empty(connection, _changed(connection, contents.tables, since))
    # That a witnessed table was emptied is on record now. In turn:
    numbers = {**contents.tables, **dict.fromkeys(emptied & contents.tables.keys(), 0)}
    emptied |= _empty(connection, _changed(connection, numbers, None))
    for name in emptied & contents.rows.keys():
        again = "INSERT INTO {0} OVERRIDING SYSTEM VALUE SELECT (one::{0}).* FROM unnest(%s::text[]) one"
        _ask(connection, again.format(name), [contents.rows[name]])
    moved = contents.sequences.items() - _sequences(connection).items()
    if moved:
        values = [(name, last or start, last is not None) for name, (last, start) in moved]
        _ask(connection, _SET, [list(column) for column in zip(*values, strict=True)])
    if _count(connection, list(contents.tables)) != contents.tables:
        raise Spoilt


def _empty(connection: Any, names: list[str]) -> set[str]:
    """Empty tables, and those that refer to them; return which."""
    if not names:
        return set()
    all_of_them = {row[0] for row in _ask(connection, _REFERRING, [names])}
    _ask(connection, f"TRUNCATE {', '.join(sorted(all_of_them))}")
    return all_of_them
