"""Who is the same person, however the name is written."""

from __future__ import annotations

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.database.acts import RECEIPT, do, one, open_session
from trigger_ops import api
from trigger_ops.exceptions import SessionRefused
from trigger_ops.records import Actor
from trigger_ops.sessions.actors import person

ALIKE = [
    ("user:jos\u00e9", "user:JOS\u00c9"),
    ("user:jos\u00e9", "user:jose\u0301"),
    ("user:stra\u00dfe", "user:STRASSE"),
    ("user:ada", " USER:\uff41\uff44\u200b\uff41\t"),
    ("user:\u03c3\u03c3", "user:\u03a3\u03c2"),
]


@pytest.mark.parametrize(("name", "again"), ALIKE)
def test_one_person_is_told_here_and_in_the_database(
    guarded: BaseDatabaseWrapper, name: str, again: str
) -> None:
    assert person(name) == person(again) != person("user:rose")
    assert one(guarded, "SELECT trigger_ops_person(%s) = trigger_ops_person(%s)", name, again)


def test_whoever_asked_is_refused_where_the_database_cannot_tell(
    guarded: BaseDatabaseWrapper,
) -> None:
    """As in one whose encoding is SQL_ASCII."""
    number = open_session(guarded, RECEIPT, opener="user:jos\u00e9", needs=1)
    do(
        guarded,
        "CREATE OR REPLACE FUNCTION trigger_ops_person(name text) RETURNS text LANGUAGE sql "
        "IMMUTABLE AS 'SELECT $1'",
    )
    with pytest.raises(SessionRefused, match="nobody reviews their own request"):
        api.review_session(number, reviewer=Actor(name="user:JOS\u00c9"), verdict="approve")
    reviewed = api.review_session(number, reviewer=Actor(name="user:rose"), verdict="approve")
    assert reviewed.state == "active"
