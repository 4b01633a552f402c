"""Reads what the guard has in a database: our functions, our tables, and the tables to be watched."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

from trigger_ops import conf
from trigger_ops.catalog.transactions import connection_of, discarded
from trigger_ops.sql import load


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OwnFunction:
    """One function of ours. ``types`` are those of its arguments; ``definition`` makes it again.

    ``is_ours`` tells that it belongs to the owner of our tables, or to a superuser; ``is_public``
    that everybody may execute it; ``executors`` are those of the asked roles that may, ``granted``
    those that were given the right themselves.
    """

    oid: int
    name: str
    arguments: str
    types: str
    body: str
    language: str
    security_definer: bool
    settings: tuple[str, ...]
    volatility: str
    owner: str
    version: str
    may_replace: bool
    is_public: bool
    definition: str
    is_ours: bool
    executors: tuple[str, ...]
    granted: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OwnTable:
    """One table of ours. ``readers`` are those of the asked roles that may SELECT.

    ``writers`` are those that may write it without owning it. ``is_public`` and ``may_create`` are
    about its schema. ``strangers`` are what is on it that is none of ours, each with the statement
    that ends it.
    """

    oid: int
    name: str
    may_alter: bool
    owner: str
    is_public: bool
    may_create: bool
    readers: tuple[str, ...]
    writers: tuple[str, ...]
    strangers: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OwnGrant:
    """Rights to write a table of ours, or the sequence of one, that a role was granted.

    ``role`` "" is everybody. ``asked`` tells that they reach one of the asked roles.
    """

    name: str
    is_sequence: bool
    role: str
    rights: tuple[str, ...]
    asked: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class WatchedTable:
    """A table that may be watched, or a partition of one (``root`` is the OID of that).

    ``parent`` is the OID of the table that it is a partition of, None for the root. ``may_copy``
    tells that its owner may execute the row witness's function, as whoever makes or attaches a
    partition has to.
    """

    oid: int
    root: int
    parent: int | None
    schema: str
    name: str
    relkind: str
    may_alter: bool
    owner: str
    columns: tuple[str, ...]
    may_copy: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GuardCatalog:
    """What the guard has in one database whose tables of ours are in ``home``.

    ``roles`` are those of the asked roles that exist.
    """

    home: str
    functions: tuple[OwnFunction, ...]
    own_tables: tuple[OwnTable, ...]
    tables: tuple[WatchedTable, ...]
    roles: tuple[str, ...] = ()
    grants: tuple[OwnGrant, ...] = ()


def read_guard_catalog(
    alias: str,
    home: str,
    *,
    tables: Collection[int],
    own: Sequence[str],
    roles: Sequence[str],
    own_triggers: Sequence[tuple[str, str]] = (),
) -> GuardCatalog:
    """Read the guard of a database.

    ``tables`` are OIDs of tables that may be watched, ``own`` the names of our tables, ``roles``
    those whose rights are asked for, ``own_triggers`` the triggers on our tables that are ours.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    parameters = {
        "home": home,
        "tables": sorted(tables),
        "own": list(own),
        "own_triggers": [".".join(one) for one in own_triggers],
        "roles": list(roles),
        "statement_timeout": str(conf.statement_timeout()),
        "lock_timeout": str(conf.lock_timeout()),
    }
    queries = load("catalog")
    with discarded(connection_of(alias), read_only=True) as cursor:
        cursor.execute(queries["pin_settings"], parameters)
        functions = _rows(cursor, queries["own_functions"], parameters)
        own_tables = _rows(cursor, queries["own_tables"], parameters)
        grants = _rows(cursor, queries["own_grants"], parameters)
        watched = _rows(cursor, queries["watched"], parameters)
        known = _rows(cursor, queries["known_roles"], parameters) if roles else []
    return GuardCatalog(
        home=home,
        functions=tuple(
            OwnFunction(
                **{
                    **one,
                    "settings": tuple(one["settings"] or ()),
                    "executors": tuple(one["executors"]),
                    "granted": tuple(one["granted"]),
                }
            )
            for one in functions
        ),
        own_tables=tuple(
            OwnTable(
                **{
                    **one,
                    "readers": tuple(one["readers"]),
                    "writers": tuple(one["writers"]),
                    "strangers": tuple(_stranger(text) for text in one["strangers"]),
                }
            )
            for one in own_tables
        ),
        tables=tuple(WatchedTable(**{**one, "columns": tuple(one["columns"])}) for one in watched),
        roles=tuple(one["name"] for one in known),
        grants=tuple(OwnGrant(**{**one, "rights": tuple(one["rights"])}) for one in grants),
    )


def _stranger(text: str) -> tuple[str, str]:
    what, _, remedy = text.partition("\n")
    return what, remedy


def _rows(cursor: Any, query: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    cursor.execute(query, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
