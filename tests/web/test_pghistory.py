"""Every page within the context that django-pghistory's middleware gives a request."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from tests.sessions.conftest import guarded, guarded_template, migrated_database
from tests.web.dashboard import LOOKS, make_world

__all__ = ["guarded", "guarded_template", "migrated_database"]


def test_every_page_is_shown_behind_the_middleware_of_pghistory(
    guarded: BaseDatabaseWrapper, settings: Any
) -> None:
    world = make_world()
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "pghistory.middleware.HistoryMiddleware"]
    found = {str(way): world.ask(way, world.boss).status_code for way in LOOKS}
    assert found == {str(way): way.status for way in LOOKS}
