from __future__ import annotations

from tests.weaknesses.conftest import (
    default_at,
    make_database,
    migrated_database,
    own_database,
    second_connection,
)

__all__ = ["default_at", "make_database", "migrated_database", "own_database", "second_connection"]
