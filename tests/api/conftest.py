from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend

from tests.guard.conftest import (
    guarded,
    guarded_template,
    make_database,
    migrated_database,
    own_database,
    second_connection,
)

__all__ = [
    "guarded",
    "guarded_template",
    "make_database",
    "migrated_database",
    "own_database",
    "second_connection",
]


@contextlib.contextmanager
def archive_at(**settings: Any) -> Iterator[BaseDatabaseWrapper]:
    """Let the alias `archive` mean another database of `default`'s server for a while."""
    original = connections["archive"]
    changed = {**copy.deepcopy(connections["default"].settings_dict), **settings}
    other = load_backend(changed["ENGINE"]).DatabaseWrapper(changed, "archive")
    connections["archive"] = other
    try:
        yield other
    finally:
        other.close()
        connections["archive"] = original
