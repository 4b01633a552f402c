"""What the pages know of the triggers: the same as ``ls``, by fewer questions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from demo_site.past import damage as past
from tests.damage import pgid, run
from trigger_ops import api
from trigger_ops.drift import Listing
from trigger_ops.inspection import InspectedDatabase, InspectedTrigger
from trigger_ops.states import Enabled, Status, Verdict
from trigger_ops.web import evidence

pytestmark = pytest.mark.django_db(databases=["default", "archive"])

CUSTOMER = "past.Customer:read_only_email"


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    evidence.forget()
    yield
    evidence.forget()


def missing() -> None:
    run("DROP TRIGGER {name} ON past_customer", name=pgid(CUSTOMER))


def unrecorded() -> None:
    run("DELETE FROM django_migrations WHERE app = 'past' AND name > '0001_initial'")


def seen(listing: Listing) -> list[tuple[object, ...]]:
    return [
        (one.uri, one.database, one.schema, one.status, one.enabled, one.verdict, one.facets)
        for one in listing.triggers
    ]


@pytest.mark.parametrize(
    "damage",
    [
        *(past.gut, past.outdate, past.disable, past.orphan, past.foreign, past.apply),
        missing,
        lambda: (unrecorded(), past.outdate()),
        lambda: (unrecorded(), past.gut()),
        lambda: None,
    ],
    ids=[
        *("gut", "outdate", "disable", "orphan", "foreign", "all of it"),
        *("missing", "pending", "ahead and gutted", "nothing"),
    ],
)
def test_it_is_what_a_survey_finds(damage: Callable[[], object]) -> None:
    damage()
    assert seen(evidence.evidence().listing) == seen(api.survey(all_databases=True))


def test_where_nothing_is_wrong_migrations_are_not_asked_for() -> None:
    evidence.evidence()
    with CaptureQueriesContext(connection) as queries:
        evidence.evidence(afresh=True)
        assert not [query for query in queries if "migration" in query["sql"].lower()]
        assert not [query for query in queries if 'trigger_ops_canonicalform".' in query["sql"]]
        past.gut()
        evidence.evidence(afresh=True)
        assert [query for query in queries if "django_migrations" in query["sql"]]


def test_it_is_kept_until_it_is_forgotten() -> None:
    first = evidence.evidence()
    assert evidence.evidence() is first
    assert evidence.evidence(afresh=True) is not first
    kept = evidence.evidence()
    evidence.forget()
    assert evidence.evidence() is not kept


SAME = InspectedTrigger(
    uri="a.B:c",
    database="default",
    schema="public",
    table="a_b",
    trigger="pgtrigger_c_00000",
    status=Status.INSTALLED,
    enabled=Enabled.ENABLED,
    verdict=Verdict.SAME,
)
TAMPERED = dataclasses.replace(SAME, status=Status.TAMPERED, verdict=Verdict.TAMPERED)
OUTDATED = dataclasses.replace(SAME, status=Status.OUTDATED, verdict=Verdict.OUTDATED)
AHEAD = dataclasses.replace(SAME, verdict=Verdict.AHEAD)


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ([TAMPERED], [OUTDATED], [OUTDATED]),
        ([TAMPERED], [SAME], [SAME]),
        ([SAME], [TAMPERED], [SAME]),
        ([SAME], [AHEAD], [AHEAD]),
        ([], [TAMPERED], [TAMPERED]),
        ([TAMPERED], [], []),
    ],
)
def test_what_was_in_motion_is_not_reported(
    first: list[InspectedTrigger],
    second: list[InspectedTrigger],
    kept: list[InspectedTrigger],
) -> None:
    def database(triggers: list[InspectedTrigger]) -> InspectedDatabase:
        return InspectedDatabase(alias="default", status="ok", triggers=tuple(triggers))

    found = evidence._seen_twice(database(first), database(second))
    assert list(found.triggers) == kept
