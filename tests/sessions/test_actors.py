"""Who is the same person, however the name is written."""

from __future__ import annotations

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.database.acts import RECEIPT, do, one, open_session
from trigger_ops import api
from trigger_ops.exceptions import SessionRefused
from trigger_ops.records import Actor
from trigger_ops.sessions.actors import is_same, person

ALIKE = [
    ("user:jos\u00e9", "user:JOS\u00c9"),
    ("user:jos\u00e9", "user:jose\u0301"),
    ("user:stra\u00dfe", "user:STRASSE"),
    ("user:ada", " USER:\uff41\uff44\u200b\uff41\t"),
    ("user:\u03c3\u03c3", "user:\u03a3\u03c2"),
    ("user:jos\u00e9", "user:jose\u034f\u0301"),
    ("user:a da", "user:a\u1680d\u2003\u2028a\u0085\u00a0"),
]

#: Default_Ignorable_Code_Point of Unicode 16, as ranges.
IGNORABLE = (
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5)),
    *((0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164)),
    *((0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8)),
    *((0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)


@pytest.mark.parametrize(("name", "again"), ALIKE)
def test_one_person_is_told_here_and_in_the_database(
    guarded: BaseDatabaseWrapper, name: str, again: str
) -> None:
    assert person(name) == person(again) != person("user:rose")
    assert one(guarded, "SELECT trigger_ops_person(%s) = trigger_ops_person(%s)", name, again)


def test_nobody_is_another_for_what_nobody_sees(guarded: BaseDatabaseWrapper) -> None:
    characters = [chr(one) for first, last in IGNORABLE for one in range(first, last + 1)]
    names = [f"user:a{one}da" for one in characters]
    assert {person(name) for name in names} == {"user:ada"}
    do(guarded, "SET standard_conforming_strings = off")
    told = "SELECT DISTINCT trigger_ops_person(one) FROM unnest(%s::text[]) one"
    assert do(guarded, told, names) == [("user:ada",)]
    # What is seen is another name: letters of other alphabets, accents, digits, signs.
    seen = ["user:\u0430da", "user:ad\u00e0", "user:ada1", "user:ad\u0660a", "user:ada\u2019"]
    assert len({person(name) for name in seen}) == len(do(guarded, told, seen)) == len(seen)


@pytest.mark.parametrize(
    ("one_name", "other", "same"),
    [
        ("user:ada", " USER:Ada", True),
        ("os:ada@web1", "user:ada", True),
        ("os:ada@web1", "user:ada@example.org", True),
        ("ada", "user:ada", True),
        ("os:ada@web1", "os:ada@web2", True),
        ("os:ada@web1", "user:adam", False),
        ("user:ada@example.org", "user:ada@example.com", False),
        ("user:ada", "user:ada@example.org", False),
        ("os:@web1", "user:", False),
        ("", "user:ada", False),
    ],
)
def test_two_names_are_one_persons_here_and_in_the_database(
    guarded: BaseDatabaseWrapper, one_name: str, other: str, *, same: bool
) -> None:
    asked = "SELECT trigger_ops_is_same(%s, %s)"
    assert is_same(one_name, other) is is_same(other, one_name) is same
    assert (
        do(guarded, f"{asked} UNION ALL {asked}", one_name, other, other, one_name)
        == [(same,)] * 2
    )


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
