"""The databases of the demo site and of the tests, from DATABASE_URL."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote, urlsplit

ALIASES = ("default", "archive")
DRIVERS = ("psycopg2", "psycopg")
_SCHEMES = ("postgres", "postgresql")
_SHAPE = "postgresql://USER:PASSWORD@HOST:PORT/NAME"
# "test_", "_archive" and the number of a test worker are added to a name; PostgreSQL takes 63.
_LONGEST_NAME = 44
# Seconds that a server which does not answer is waited for.
_PATIENCE = {"connect_timeout": "5"}
# Creating databases is done by one process at a time: this is the number they agree on.
_CREATION_LOCK = 7_419_205


class DatabaseUrlError(Exception):
    """DATABASE_URL or TRIGGER_OPS_DRIVER says something that cannot be used."""

    exit_code = 2


class DatabaseRefused(Exception):
    """The server answered, and does not let us create a database."""

    exit_code = 4


class ServerUnreachable(Exception):
    """The server of DATABASE_URL gives no connection."""

    exit_code = 5


@dataclass(frozen=True)
class Address:
    """A DATABASE_URL, taken apart and percent-decoded; `port` is text, "" for the usual one."""

    user: str
    password: str = field(repr=False)
    host: str
    port: str
    name: str
    options: dict[str, str]

    @property
    def place(self) -> str:
        """The server for people: host and port, without the password."""
        return f"{self.host or 'the local socket'}:{self.port or '5432'}"


def parse(url: str) -> Address:
    """Take a DATABASE_URL apart. Raises DatabaseUrlError with a sentence that hides passwords."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else str(parts.port)
    except ValueError as error:
        raise DatabaseUrlError(f"DATABASE_URL cannot be read ({error}): write {_SHAPE}.") from None
    if parts.scheme not in _SCHEMES:
        raise DatabaseUrlError(
            f"DATABASE_URL begins with '{parts.scheme}', and only PostgreSQL will do: "
            f"write {_SHAPE}."
        )
    if "\0" in unquote(url):
        raise DatabaseUrlError(f"DATABASE_URL has a NUL in it: write {_SHAPE}.")
    name = unquote(parts.path.removeprefix("/"))
    if not name:
        raise DatabaseUrlError(f"DATABASE_URL names no database: write {_SHAPE}.")
    if len(name.encode()) > _LONGEST_NAME:
        raise DatabaseUrlError(
            f"DATABASE_URL names a database of more than {_LONGEST_NAME} bytes: take a shorter one."
        )
    # `parts.hostname` would turn the path of a socket into lower case.
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    host = parts.netloc.rpartition("@")[2]
    host = host.removesuffix(f":{parts.port}") if parts.port is not None else host.rstrip(":")
    return Address(
        user=unquote(user),
        password=unquote(password),
        host=unquote(host).strip("[]"),
        port=port,
        name=name,
        options=_options(parts.query),
    )


def _options(query: str) -> dict[str, str]:
    options = {}
    for pair in filter(None, query.split("&")):
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise DatabaseUrlError(f"DATABASE_URL has the option '{pair}': write name=value.")
        options[unquote(key)] = unquote(value)
    if "dbname" in options:
        raise DatabaseUrlError(f"DATABASE_URL has the option 'dbname': write {_SHAPE}.")
    return options


def databases() -> dict[str, dict[str, Any]]:
    """Return settings.DATABASES: `default`, and `archive` beside it on the same server.

    Without a DATABASE_URL (as when mypy imports the settings) they name a server that is none.
    """
    url = os.environ.get("DATABASE_URL")
    address = parse(url) if url else _nowhere()
    return {
        "default": _entry(address, address.name),
        "archive": _entry(address, f"{address.name}_archive"),
    }


def _nowhere() -> Address:
    """Return an address whose connection error says what is wrong: host names appear in it."""
    options = {"hostaddr": "127.0.0.1"}
    return Address("postgres", "", "DATABASE_URL-is-not-set", "1", "trigger_ops", options)


def _entry(address: Address, name: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": address.user,
        "PASSWORD": address.password,
        "HOST": address.host,
        "PORT": address.port,
        "OPTIONS": {**_PATIENCE, **address.options},
        "TEST": {"NAME": f"test_{name}"},
    }


def choose_driver() -> None:
    """Hide psycopg 3 from Django if TRIGGER_OPS_DRIVER=psycopg2. Call it before Django loads.

    Raises DatabaseUrlError for another value, and for a driver that is not installed.
    """
    driver = os.environ.get("TRIGGER_OPS_DRIVER")
    if not driver:
        return
    if driver not in DRIVERS:
        raise DatabaseUrlError(f"TRIGGER_OPS_DRIVER is '{driver}': set psycopg2 or psycopg.")
    if driver not in sys.modules and find_spec(driver) is None:
        raise DatabaseUrlError(
            f"TRIGGER_OPS_DRIVER is {driver}, which is not installed: "
            f"pip install 'django-trigger-ops[{driver}]'."
        )
    if driver == "psycopg2":
        sys.modules["psycopg"] = None  # type: ignore[assignment]  # an import of it now fails


def create_missing() -> list[str]:
    """Create the databases of DATABASE_URL that are not there yet; return their names.

    Raises DatabaseUrlError, ServerUnreachable or DatabaseRefused, each with a sentence.
    """
    address = parse(os.environ.get("DATABASE_URL", ""))
    names = [entry["NAME"] for entry in databases().values()]
    with closing(_maintenance_connection(address)) as connection:
        if not _missing(connection, names):
            return []
        return _create(connection, names, address)


def _maintenance_connection(address: Address) -> Any:
    from django.db.backends.postgresql.psycopg_any import errors, is_psycopg3

    if is_psycopg3:
        from psycopg import OperationalError, ProgrammingError, connect
    else:
        from psycopg2 import OperationalError, ProgrammingError, connect
    given = {
        "user": address.user,
        "password": address.password,
        "host": address.host,
        "port": address.port,
        **_PATIENCE,
        **address.options,
    }
    given = {key: value for key, value in given.items() if value}
    refusal: Exception | None = None
    for name in ("postgres", address.name):
        try:
            connection = connect(dbname=name, **given)
        except errors.InsufficientPrivilege as error:
            refusal = error
        except OperationalError as error:
            refusal = error
        except ProgrammingError as error:  # an option that libpq does not know
            raise DatabaseUrlError(
                f"DATABASE_URL cannot be used ({str(error).strip()}): write {_SHAPE}."
            ) from None
        else:
            connection.autocommit = True
            return connection
    reason = " ".join(str(refusal).split())
    raise ServerUnreachable(
        f"The PostgreSQL at {address.place} gives no connection ({reason}): "
        "start it, correct DATABASE_URL, or unset it to use the embedded one."
    ) from None


def _missing(connection: Any, names: list[str]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT datname FROM pg_catalog.pg_database WHERE datname = ANY(%s)", [names]
        )
        present = {row[0] for row in cursor.fetchall()}
    return [name for name in names if name not in present]


def _create(connection: Any, names: list[str], address: Address) -> list[str]:
    from django.db.backends.postgresql.psycopg_any import errors, sql

    created = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_CREATION_LOCK])
        for name in _missing(connection, names):
            try:
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction) as error:
                raise DatabaseRefused(
                    f"The PostgreSQL at {address.place} does not let {address.user or 'you'} "
                    f"create the database {name} ({str(error).strip()}): create it there, "
                    "or give the role CREATEDB."
                ) from None
            created.append(name)
    return created
