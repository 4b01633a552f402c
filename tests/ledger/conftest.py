from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.weaknesses.conftest import (
    _maintain,
    default_at,
    make_database,
    migrated_database,
    own_database,
    second_connection,
)
from trigger_ops.ledger.entries import Author, Run
from trigger_ops.states import Verb

__all__ = ["make_database", "migrated_database", "own_database", "second_connection"]


@contextlib.contextmanager
def through(connection: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """Let the alias `default` mean another connection for a while."""
    original = connections["default"]
    connections["default"] = connection
    try:
        yield connection
    finally:
        connections["default"] = original


def make_run(actor: str = "ada", *, verb: Verb = Verb.INSTALL, reason: str = "release") -> Run:
    return Run(id=uuid.uuid4(), verb=verb, author=Author(actor=actor, reason=reason))


@pytest.fixture
def database_of_a_test_runner(
    migrated_database: str, django_db_blocker: Any
) -> Iterator[BaseDatabaseWrapper]:
    """Let `default` be a copy of the migrated database with a name as Django's runner gives."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with django_db_blocker.unblock():
        connections.close_all()
        _maintain("CREATE DATABASE {name} TEMPLATE {template}", name, template=migrated_database)
        with default_at(NAME=name) as connection:
            yield connection
        _maintain("DROP DATABASE {name} WITH (FORCE)", name)
        connections.close_all()
