from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.copies import Copies, new_name
from tests.weaknesses.conftest import (
    _maintain,
    default_at,
    make_database,
    migrated_database,
    own_database,
    second_connection,
)
from trigger_ops import api
from trigger_ops.applier import RunReport
from trigger_ops.planner import Request
from trigger_ops.states import Verb

__all__ = [
    "default_at",
    "guard",
    "guarded",
    "guarded_template",
    "make_database",
    "migrated_database",
    "own_database",
    "second_connection",
]


def guard(verb: Verb = Verb.GUARD_INSTALL) -> RunReport:
    """Carry out a guard verb on `default`."""
    planned = api.plan(Request(verb=verb, databases=("default",)))
    return api.apply(planned, actor="os:ann@web1", reason="a test")


@pytest.fixture(scope="session")
def guarded_template(migrated_database: str, django_db_blocker: Any) -> Iterator[str]:
    """Return the name of a migrated database whose guard is on, to be copied."""
    name = new_name()
    with django_db_blocker.unblock():
        connections.close_all()
        _maintain("CREATE DATABASE {name} TEMPLATE {template}", name, template=migrated_database)
        with default_at(NAME=name):
            report = guard()
            assert report.changed
            assert not report.failed
        connections.close_all()
    yield name
    with django_db_blocker.unblock():
        connections.close_all()
        _maintain("DROP DATABASE {name} WITH (FORCE)", name)


@pytest.fixture
def guarded(
    copies: Callable[[str], Copies], guarded_template: str, django_db_blocker: Any
) -> Iterator[BaseDatabaseWrapper]:
    """Let `default` be a copy of the migrated database, with the guard on."""
    with django_db_blocker.unblock():
        name = copies(guarded_template).take()
        with default_at(NAME=name) as connection:
            yield connection
        connections.close_all()
        copies(guarded_template).give_back(name)
