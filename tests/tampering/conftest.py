from __future__ import annotations

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
