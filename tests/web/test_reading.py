"""To look at a page writes nothing, whatever is on it: the database itself sees to that here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past import damage as past
from tests.damage import run
from tests.sessions.conftest import guarded, guarded_template, migrated_database
from tests.web.dashboard import LOOKS, make_world
from tests.web.session_people import words
from trigger_ops.web import evidence, freshness

__all__ = ["guarded", "guarded_template", "migrated_database"]

QUERIES: dict[str, list[dict[str, str]]] = {
    "trigger_changelist": [
        *({"look": "again"}, {"format": "json"}, {"format": "csv"}, {"choose": "page"}),
        {"q": "state:tampered", "sort": "-uri", "per_page": "200"},
    ],
    "trigger_detail": [{"view": "unified", "lines": "all"}],
    "session_changelist": [{"state": "active", "q": "receipt"}],
}


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    evidence.forget()
    freshness.forget()


@pytest.mark.parametrize("damage", [lambda: None, past.apply], ids=["as it should be", "damaged"])
def test_every_page_is_shown_by_a_database_that_writes_nothing(
    damage: Callable[[], None], guarded: BaseDatabaseWrapper
) -> None:
    world = make_world()
    boss = world.boss
    damage()
    name = connections["default"].settings_dict["NAME"]
    # For every connection, a second one beside this one too.
    run("ALTER DATABASE {name} SET default_transaction_read_only = on", name=name)
    connections["default"].close()
    found, wanted = {}, {}
    for way in LOOKS:
        for query in ({}, *QUERIES.get(way.page, [])):
            evidence.forget()
            freshness.forget()
            answer = world.ask(way, boss, **query)
            found[f"{way} {query}"], wanted[f"{way} {query}"] = answer.status_code, way.status
            if way.status == 405:
                assert answer["Allow"] == "POST", way
                assert "Nothing was done:" in words(answer.content), way
    with pytest.raises(DatabaseError, match="read-only"):
        run("CREATE TABLE nothing ()")
    assert found == wanted
