"""Reviews, in the shape of Teleport's tests: who says what, and what the session is then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.damage import run
from tests.database.acts import UNSEEN
from tests.sessions.conftest import REASON, RECEIPT
from trigger_ops import api
from trigger_ops.exceptions import SessionRefused, UnknownSession
from trigger_ops.records import Actor, SessionRecord
from trigger_ops.states import SessionState

pytestmark = pytest.mark.usefixtures("guarded")

PENDING, ACTIVE, DENIED = SessionState.PENDING, SessionState.ACTIVE, SessionState.DENIED
YES, NO = "approve", "deny"

SELF = "nobody reviews their own request"
TWICE = "has reviewed it already"
NO_USER = "no user of Django"

Review = tuple[str, str, SessionState | str]
"""Who, what, and the state after it, or what the refusal says."""


def asked(needs: int = 1, *, opener: Actor | str = "user:alice", **named: str) -> SessionRecord:
    run("UPDATE trigger_ops_guard SET policy = 'four_eyes', approvals = %s", needs)
    return api.open_session(RECEIPT, reason=REASON, actor=opener, **named)


def review(session: int, author: str, verdict: str) -> SessionRecord:
    name, _, key = author.partition("#")
    return api.review_session(session, reviewer=Actor(name=name, key=key), verdict=verdict)


@pytest.mark.parametrize(
    ("needs", "reviews"),
    [
        pytest.param(1, [("user:bob", YES, ACTIVE)], id="one approval is enough for one"),
        pytest.param(1, [("user:bob", NO, DENIED)], id="one denial is enough"),
        pytest.param(
            2,
            [("user:bob", YES, PENDING), ("user:carol", YES, ACTIVE)],
            id="two approvals for two",
        ),
        pytest.param(
            2,
            [("user:bob", YES, PENDING), ("user:carol", NO, DENIED)],
            id="a denial wins over an approval",
        ),
        pytest.param(
            3,
            [
                ("user:bob", YES, PENDING),
                ("user:carol", YES, PENDING),
                ("user:dave", NO, DENIED),
                ("user:erin", YES, "it is denied"),
            ],
            id="what is denied stays denied",
        ),
        pytest.param(1, [("user:alice", YES, SELF), ("user:bob", YES, ACTIVE)], id="not oneself"),
        pytest.param(1, [("user:ALICE", YES, SELF)], id="not oneself in capitals"),
        pytest.param(1, [("  user:alice\t", YES, SELF)], id="not oneself between blanks"),
        pytest.param(1, [(" USER:Alice ", NO, SELF)], id="not even to deny"),
        pytest.param(1, [("user:al\u00adice", YES, SELF)], id="not oneself with a soft hyphen"),
        pytest.param(1, [("user:\uff41lice", YES, SELF)], id="not oneself in full width"),
        pytest.param(1, [("alice", YES, SELF)], id="not oneself without a kind"),
        pytest.param(1, [("os:alice@web1", YES, SELF)], id="not oneself as the system knows one"),
        pytest.param(
            1,
            [("os:bob@web1", YES, NO_USER), ("bob", NO, NO_USER), ("user:bob", YES, ACTIVE)],
            id="nobody but a user of Django",
        ),
        pytest.param(1, [("user:", YES, NO_USER)], id="no user without a name"),
        *(
            pytest.param(
                2,
                [
                    (f"user:al{one}ice", YES, SELF),
                    ("user:bob", YES, PENDING),
                    (f"user:bob{one}", YES, TWICE),
                ],
                id=f"not oneself, nor twice, with U+{ord(one):04X}",
            )
            for one in UNSEEN
        ),
        pytest.param(
            2,
            [
                ("user:bob", YES, PENDING),
                ("user:bob", YES, TWICE),
                (" USER:Bob ", YES, TWICE),
                ("user:bob", NO, TWICE),
                ("user:carol", YES, ACTIVE),
            ],
            id="one vote each, in whatever spelling",
        ),
        pytest.param(
            2,
            [("user:bob#7", YES, PENDING), ("user:robert#7", YES, TWICE)],
            id="one vote for one user of two names",
        ),
        pytest.param(
            1,
            [("user:bob", YES, ACTIVE), ("user:carol", YES, "it is active")],
            id="what is active needs no approval",
        ),
        pytest.param(
            1,
            [("user:bob", YES, ACTIVE), ("user:carol", NO, "it is active")],
            id="what is active cannot be denied",
        ),
        pytest.param(
            1,
            [("user:bob", NO, DENIED), ("user:bob", YES, "it is denied")],
            id="no second thoughts",
        ),
        pytest.param(1, [("user:bob", "maybe", "somebody's")], id="nothing but yes and no"),
        pytest.param(1, [("   ", YES, "somebody's")], id="nobody is nobody"),
    ],
)
def test_reviews(needs: int, reviews: Sequence[Review]) -> None:
    session = asked(needs)
    assert (session.state, session.needs, session.expires) == (PENDING, needs, None)
    votes = 0
    for author, verdict, expected in reviews:
        if isinstance(expected, SessionState):
            found = review(session.id, author, verdict)
            votes += 1
            assert found.state is expected
        else:
            with pytest.raises(SessionRefused) as refused:
                review(session.id, author, verdict)
            assert expected in str(refused.value)
            assert str(refused.value).startswith(f"Session {session.id} cannot be reviewed: ")
    found = api.find_session(session.id)
    assert len(found.reviews) == votes
    last = [state for _, _, state in reviews if isinstance(state, SessionState)]
    assert found.state is (last[-1] if last else PENDING)
    assert (found.activated is not None) is (ACTIVE in last)


@pytest.mark.parametrize("reviewer", ["user:root", "user:root@example.org"])
def test_whoever_opened_it_at_the_keyboard_does_not_approve_it_in_the_admin(reviewer: str) -> None:
    session = asked(opener="os:root@vm")
    with pytest.raises(SessionRefused, match=SELF):
        review(session.id, reviewer, YES)
    assert review(session.id, "user:bob", YES).state is ACTIVE


@pytest.mark.parametrize(
    "finish",
    [
        pytest.param(lambda one: api.end_session(one), id="ended"),
        pytest.param(lambda one: api.revoke_session(one, reason="stop"), id="revoked"),
    ],
)
def test_what_is_final_is_not_reviewed(finish: Callable[[int], object]) -> None:
    session = asked()
    finish(session.id)
    before = api.find_session(session.id).state
    for verdict in (YES, NO):
        with pytest.raises(SessionRefused, match=f"it is {before}"):
            review(session.id, "user:bob", verdict)
    assert api.find_session(session.id).state is before


def test_a_request_that_waited_too_long_is_not_reviewed(settings: pytest.FixtureRequest) -> None:
    settings.TRIGGER_OPS = {"SESSION_WAITS": "1ms"}  # type: ignore[attr-defined]  # pytest-django's settings take any name
    session = asked()
    for verdict in (YES, NO):
        with pytest.raises(SessionRefused, match="nobody reviewed it in time"):
            review(session.id, "user:bob", verdict)
    assert api.find_session(session.id).state is SessionState.EXPIRED


def test_a_session_that_nobody_asked_for_is_not_reviewed() -> None:
    with pytest.raises(UnknownSession, match="There is no session 99"):
        review(99, "user:bob", YES)


def test_the_time_of_a_session_runs_from_its_approval() -> None:
    session = asked(duration="10m")
    found = review(session.id, "user:bob", YES)
    assert found.expires is not None
    assert found.activated is not None
    assert found.activated > session.opened
    assert (found.expires - found.activated).total_seconds() == 600


def test_a_user_who_opened_it_under_another_name_is_known_by_the_key() -> None:
    session = asked(opener=Actor(name="user:alice", key="5"))
    with pytest.raises(SessionRefused, match=SELF):
        review(session.id, "user:alicia#5", YES)


def together(number: int, act: Callable[[BaseDatabaseWrapper, int], object]) -> list[object]:
    """Act in threads with connections of their own, all at once; return what each gave."""
    settings = connections["default"].settings_dict
    start = threading.Barrier(number)
    results: list[object] = [None] * number

    def one(place: int) -> None:
        connection = type(connections["default"])(settings, "default")
        try:
            connection.ensure_connection()
            start.wait(timeout=60)
            results[place] = act(connection, place)
        except DatabaseError as error:
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=[place]) for place in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    return results


@pytest.mark.parametrize("needs", [1, 2, 8])
def test_of_eight_approvals_at_once_exactly_one_begins_the_session(needs: int) -> None:
    session = asked(needs)

    def approve(connection: BaseDatabaseWrapper, place: int) -> str:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT trigger_ops_review(%s, %s, '', 'approve', '')",
                [session.id, f"user:reviewer{place}"],
            )
            return str(cursor.fetchone()[0])

    results = together(8, approve)
    states = [one for one in results if isinstance(one, str)]
    refused = [one for one in results if not isinstance(one, str)]
    assert sorted(states) == ["active"] + ["pending"] * (needs - 1)
    assert len(refused) == 8 - needs
    assert all("it is active" in str(one) for one in refused)
    kinds = [kind for (kind,) in run("SELECT kind FROM trigger_ops_sessionevent ORDER BY id")]
    assert kinds.count("activated") == 1
    assert kinds.count("approved") == needs


def test_an_approval_and_a_denial_at_once_leave_one_of_them() -> None:
    session = asked()

    def vote(connection: BaseDatabaseWrapper, place: int) -> str:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT trigger_ops_review(%s, %s, '', %s, '')",
                [session.id, f"user:reviewer{place}", (YES, NO)[place % 2]],
            )
            return str(cursor.fetchone()[0])

    results = [one for one in together(8, vote) if isinstance(one, str)]
    assert results == [api.find_session(session.id).state]
    assert len(api.find_session(session.id).reviews) == 1


def test_a_form_that_is_sent_twice_opens_one_session() -> None:
    first = asked(nonce="form-1")
    with pytest.raises(SessionRefused):
        asked(nonce="form-1")
    assert [one.id for one in api.list_sessions()] == [first.id]
    asked(nonce="form-2")
    assert len(api.list_sessions()) == 2


def test_a_form_that_is_sent_eight_times_at_once_opens_one_session() -> None:
    document = (
        '{"uris": ["a.B:c"], "triggers": ["pgtrigger_c"], "reason": "once", "surface": "admin",'
        ' "opener": "user:alice", "lasts": "1 hour", "idle": "1 hour", "longest": "1 hour",'
        ' "waits": "1 hour", "most_rows": 1, "most_extensions": 0, "nonce": "form-1"}'
    )

    def send(connection: BaseDatabaseWrapper, place: int) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT trigger_ops_open(%s)", [document])
            return int(cursor.fetchone()[0])

    results = together(8, send)
    assert len([one for one in results if isinstance(one, int)]) == 1
    assert len(api.list_sessions()) == 1
