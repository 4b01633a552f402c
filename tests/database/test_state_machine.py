"""What a session may become: who may say yes, what never changes, and when it is over."""

from __future__ import annotations

import datetime as dt
import json
import threading
import uuid
from typing import Any, NamedTuple

import pytest
from django.db import DatabaseError, DataError, IntegrityError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.database.acts import (
    CUSTOMER,
    INVOICE,
    RECEIPT,
    UNSEEN,
    Connect,
    close,
    do,
    limits,
    named,
    one,
    open_session,
    policy,
    refused,
    state,
    transaction,
)
from tests.weaknesses.conftest import _maintain, default_at
from trigger_ops.sessions.refusals import refusal_code
from trigger_ops.sql.functions import expected_functions


def review(
    connection: BaseDatabaseWrapper,
    session: int,
    who: str,
    verdict: str = "approve",
    *,
    key: str = "",
) -> Any:
    return one(
        connection,
        "SELECT trigger_ops_review(%s, %s, %s, %s, 'a remark')",
        *(session, who, key, verdict),
    )


# Requests -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "terms",
    [
        {"triggers": [], "uris": []},
        {"triggers": None},
        {"triggers": {"a": 1}},
        {"triggers": "pgtrigger_a"},
        {"triggers": ["a", "b"], "uris": ["a"]},
        {"uris": "a"},
        {"uris": None},
        {"reason": ""},
        {"reason": " \t"},
        {"opener": ""},
        {"opener": " \u200b\u00a0"},
        {"lasts": "0"},
        {"lasts": "-1 hour"},
        {"lasts": "5 hours"},
        {"idle": "0"},
        {"waits": "0"},
        {"needs": -1},
        {"most_rows": 0},
        {"most_extensions": -1},
        {"triggers": ["pgtrigger_a", "pgtrigger_a"], "uris": ["a.B:a", "a.B:a"]},
        {
            "triggers": [f"pgtrigger_{n}" for n in range(21)],
            "uris": [f"a.B:{n}" for n in range(21)],
        },
        {"uris": [CUSTOMER]},
        {"uris": ["past.Receipt:harmless"]},
        {"triggers": ["pgtrigger_unheard_of"]},
    ],
    ids=str,
)
def test_a_request_that_makes_no_sense_is_refused(
    guarded: BaseDatabaseWrapper, terms: dict[str, Any]
) -> None:
    with refused("TO011"):
        open_session(guarded, RECEIPT, **terms)
    assert one(guarded, "SELECT count(*) FROM trigger_ops_session") == 0


def test_what_the_database_knows_better_is_not_asked(guarded: BaseDatabaseWrapper) -> None:
    session = open_session(guarded, RECEIPT, reason="  padded by a form  ", needs=1)
    given = (
        "uris, triggers, reason, surface, opener, needs, lasts, idle, longest, waits, most_rows, "
        "most_extensions"
    )
    do(
        guarded,
        f"INSERT INTO trigger_ops_session ({given}, state, role, expires, extensions) "
        f"SELECT {given}, 'asked', 'somebody', '2099-01-01', -9 FROM trigger_ops_session",
    )
    rows = do(
        guarded,
        "SELECT state, reason, role = session_user, expires, extensions FROM trigger_ops_session",
    )
    assert rows == [("pending", "padded by a form", True, None, 0)] * 2
    assert session


def test_nobody_asks_for_more_than_the_guard_has_on_record(guarded: BaseDatabaseWrapper) -> None:
    limits(guarded, longest="1 hour", idle="1 minute", waits="2 hours")
    limits(guarded, most_rows=7, most_extensions=1)
    session = open_session(
        guarded, RECEIPT, longest="9 hours", idle="9 hours", waits="9 hours", most_extensions=9
    )
    asked = "SELECT longest, idle, waits, most_rows, most_extensions FROM trigger_ops_session"
    hour, minute = dt.timedelta(hours=1), dt.timedelta(minutes=1)
    assert do(guarded, asked) == [(hour, minute, 2 * hour, 7, 1)]
    with refused("TO011"):
        open_session(guarded, RECEIPT, lasts="2 hours", longest="9 hours")
    with refused("TO016"):
        extend(guarded, session, "0")


def test_where_the_guard_has_no_limits_there_are_none(guarded: BaseDatabaseWrapper) -> None:
    do(
        guarded,
        "UPDATE trigger_ops_guard SET uris = '{}', "
        + ", ".join(
            f"{column} = NULL"
            for column in (
                "longest",
                "idle",
                "waits",
                "most_rows",
                "most_extensions",
                "most_triggers",
            )
        ),
    )
    open_session(guarded, RECEIPT, lasts="9 days", longest="9 days", uris=["a.B:c"])
    assert one(guarded, "SELECT longest FROM trigger_ops_session") == dt.timedelta(days=9)


CALENDAR = "SET timezone = 'AAA-24BBB24,J{}/0,J{}/0'".format(
    *(
        min((dt.datetime.now(dt.UTC) + dt.timedelta(days=days)).timetuple().tm_yday, 365)
        for days in (2, 182)
    )
)
"""Somebody's own time zone, in which clocks are put back by two days at its next midnight."""

MONTHS = "12000 mons -360000 days"
"""Nothing where times are compared, and 14 years where they are added."""


@pytest.mark.parametrize("zone", [CALENDAR, "SET timezone = 'Europe/Berlin'"])
@pytest.mark.parametrize(
    ("asked", "hours"), [("1 hour", 1), ("60 days -1439 hours", 1), ("1 mon -718 hours", 2)]
)
def test_a_session_lasts_as_many_seconds_as_were_asked_for(
    guarded: BaseDatabaseWrapper, zone: str, asked: str, hours: int
) -> None:
    do(guarded, zone)
    limits(guarded, longest="4 hours", idle="4 hours", waits="4 hours")
    spans = dict.fromkeys(("idle", "longest", "waits"), asked)
    session = open_session(guarded, RECEIPT, lasts=asked, **spans)
    seconds = (
        "SELECT extract(epoch FROM expires)::int8 - extract(epoch FROM activated)::int8, "
        "extract(epoch FROM activated + idle)::int8 - extract(epoch FROM activated)::int8, "
        "extract(epoch FROM opened + waits)::int8 - extract(epoch FROM opened)::int8, "
        "extract(epoch FROM activated + longest)::int8 - extract(epoch FROM activated)::int8 "
        "FROM trigger_ops_session WHERE id = %s"
    )
    assert do(guarded, seconds, session) == [(hours * 3600,) * 4]


@pytest.mark.parametrize("limit", ["1 day", f"{MONTHS} 1 hour", "4 hours"])
def test_a_limit_of_the_guard_is_as_many_seconds_too(
    guarded: BaseDatabaseWrapper, limit: str
) -> None:
    do(guarded, CALENDAR)
    limits(guarded, longest=limit, idle=limit, waits=limit)
    most = one(guarded, "SELECT extract(epoch FROM longest)::int8 FROM trigger_ops_guard")
    session = open_session(guarded, RECEIPT, lasts="1 second", longest="20 years")
    extend(guarded, session, "20 years")
    last = "SELECT extract(epoch FROM expires)::int8 - extract(epoch FROM activated)::int8 FROM trigger_ops_session"
    assert one(guarded, last) == most
    with refused("TO011"):
        open_session(guarded, RECEIPT, lasts=f"{most + 1} seconds", longest="20 years")


@pytest.mark.parametrize("name", ["lasts", "idle", "longest", "waits"])
@pytest.mark.parametrize(
    "span", [f"{MONTHS} 1 hour", "170000000 years", "-170000000 years", None, "infinity"]
)
def test_a_span_that_nobody_can_mean_lengthens_nothing(
    guarded: BaseDatabaseWrapper, name: str, span: str | None
) -> None:
    """Beyond what the guard allows, it is what the guard allows; a session lasts what it asks for."""
    limits(guarded, longest="4 hours", idle="4 hours", waits="4 hours")
    asked = {"lasts": "1 hour", "idle": "1 hour", "longest": "4 hours", "waits": "1 hour"}
    if span == "infinity" and one(guarded, "SHOW server_version_num") < "170000":
        with pytest.raises(DataError, match="infinity"):  # no time is without an end there
            open_session(guarded, RECEIPT, **{**asked, name: span})
        return
    if name == "lasts" or str(span).startswith("-"):
        with refused("TO011"):
            open_session(guarded, RECEIPT, **{**asked, name: span})
        return
    open_session(guarded, RECEIPT, **{**asked, name: span})
    hours = "SELECT extract(epoch FROM {name})::int8 / 3600 FROM trigger_ops_session"
    assert one(guarded, named(hours, name=name)) == 4


def test_without_limits_a_span_without_an_end_is_refused(guarded: BaseDatabaseWrapper) -> None:
    do(guarded, "UPDATE trigger_ops_guard SET longest = NULL, idle = NULL, waits = NULL")
    for name in ("lasts", "idle", "longest", "waits"):
        with refused("TO011"):
            open_session(guarded, RECEIPT, **{name: "170000000 years"})


def test_a_form_that_is_sent_twice_opens_one_session(guarded: BaseDatabaseWrapper) -> None:
    open_session(guarded, RECEIPT, nonce="once")
    with pytest.raises(IntegrityError):
        open_session(guarded, RECEIPT, nonce="once")
    assert one(guarded, "SELECT count(*) FROM trigger_ops_session") == 1


@pytest.mark.parametrize(
    ("default", "own", "asked", "needs"),
    [
        (("record", 1), {}, 0, 0),
        (("session", 3), {}, 0, 0),
        (("four_eyes", 1), {}, 0, 1),
        (("four_eyes", 0), {}, 0, 1),
        (("four_eyes", 2), {}, 0, 2),
        (("four_eyes", 2), {}, 5, 5),
        (("record", 1), {RECEIPT: ("four_eyes", 3)}, 0, 3),
        (("record", 1), {RECEIPT: ("four_eyes", 0)}, 1, 1),
        (("record", 1), {INVOICE: ("four_eyes", 3)}, 0, 0),
        (("four_eyes", 2), {RECEIPT: ("open", 0), CUSTOMER: ("record", 0)}, 0, 0),
        (("four_eyes", 2), {RECEIPT: ("open", 0)}, 0, 2),
        (("record", 1), {RECEIPT: ("four_eyes", 1), CUSTOMER: ("four_eyes", 2)}, 0, 2),
    ],
)
def test_the_strictest_policy_says_how_many_approvals_it_takes(
    guarded: BaseDatabaseWrapper,
    default: tuple[str, int],
    own: dict[str, tuple[str, int]],
    asked: int,
    needs: int,
) -> None:
    policy(guarded, default[0], approvals=default[1])
    for uri, (mode, approvals) in own.items():
        policy(guarded, mode, uri, approvals=approvals)
    session = open_session(guarded, RECEIPT, CUSTOMER, needs=asked)
    found = do(guarded, "SELECT needs, state FROM trigger_ops_session WHERE id = %s", session)
    assert found == [(needs, "pending" if needs else "active")]


# Reviews (acceptance 16) --------------------------------------------------------------------------


class Vote(NamedTuple):
    """One review, and what comes of it: a state, or the code of a refusal."""

    who: str
    outcome: str
    verdict: str = "approve"
    key: str = ""


REVIEWS: dict[str, tuple[int, list[Vote]]] = {
    "one is enough": (1, [Vote("user:bob", "active")]),
    "two are needed": (2, [Vote("user:bob", "pending"), Vote("user:cy", "active")]),
    "the opener": (1, [Vote("user:ada", "TO012")]),
    "the opener in capitals and blanks": (1, [Vote(" USER:Ada\t", "TO012")]),
    "the opener with what nobody sees": (1, [Vote("user:a\u200bda\u00a0\ufeff", "TO012")]),
    "the opener in wide letters": (1, [Vote("user:\uff41\uff44\uff41", "TO012")]),
    "the opener in other capitals": (1, [Vote("user:ADA", "TO012")]),
    "the opener by key": (1, [Vote("user:renamed", "TO012", key="7")]),
    "the same key twice": (
        2,
        [Vote("user:bob", "pending", key="8"), Vote("user:robert", "TO014", key="8")],
    ),
    "no key is nobody's": (2, [Vote("user:bob", "pending"), Vote("user:cy", "active")]),
    "a second vote": (2, [Vote("user:bob", "pending"), Vote("user:bob", "TO014")]),
    "a second vote in capitals": (2, [Vote("user:bob", "pending"), Vote("USER:BOB ", "TO014")]),
    "another mind": (2, [Vote("user:bob", "pending"), Vote("user:bob", "TO014", "deny")]),
    "a no ends it": (
        2,
        [
            Vote("user:bob", "pending"),
            Vote("user:cy", "denied", "deny"),
            Vote("user:dee", "TO015"),
        ],
    ),
    "after it began": (1, [Vote("user:bob", "active"), Vote("user:cy", "TO015", "deny")]),
    "no such verdict": (1, [Vote("user:bob", "TO015", "maybe")]),
    "nobody": (1, [Vote("  ", "TO015")]),
    "the opener may not deny": (1, [Vote("user:ada", "TO012", "deny")]),
    "the opener without a kind": (1, [Vote("ada", "TO012")]),
    "the opener as the system knows them": (1, [Vote("os:ada@web1", "TO012")]),
    "somebody the system knows": (1, [Vote("os:bob@web1", "TO015"), Vote("user:bob", "active")]),
    "somebody without a kind": (1, [Vote("bob", "TO015"), Vote("bob:user:bob", "TO015")]),
    "a user without a name": (1, [Vote("user:", "TO015"), Vote("user:\u2800", "TO015")]),
    **{
        f"the opener with U+{ord(one):04X}": (1, [Vote(f"user:a{one}da", "TO012")])
        for one in UNSEEN
    },
    **{
        f"a second vote with U+{ord(one):04X}": (
            2,
            [Vote("user:bob", "pending"), Vote(f"us{one}er:bo{one}b", "TO014")],
        )
        for one in UNSEEN
    },
}


@pytest.mark.parametrize(("needs", "votes"), REVIEWS.values(), ids=REVIEWS.keys())
def test_reviews(guarded: BaseDatabaseWrapper, needs: int, votes: list[Vote]) -> None:
    session = open_session(guarded, RECEIPT, needs=needs, opener_key="7")
    expected = "pending"
    for vote in votes:
        if vote.outcome.startswith("TO"):
            with refused(vote.outcome):
                review(guarded, session, vote.who, vote.verdict, key=vote.key)
        else:
            expected = vote.outcome
            assert review(guarded, session, vote.who, vote.verdict, key=vote.key) == expected
        assert state(guarded, session) == expected
    counted = one(guarded, "SELECT count(*) FROM trigger_ops_review")
    assert counted == sum(not vote.outcome.startswith("TO") for vote in votes)


@pytest.mark.parametrize(
    ("opener", "reviewer", "outcome"),
    [
        ("os:root@vm", "user:root", "TO012"),
        ("os:root@vm", "USER: Root", "TO012"),
        ("os:root@vm", "user:root@example.org", "TO012"),
        ("os:ada@example.org@web1", "user:ada@example.org", "TO012"),
        ("root", "user:root", "TO012"),
        ("os:root@vm", "os:root@another", "TO012"),
        ("os:root@vm", "user:ada", "active"),
        ("os:ada@vm", "user:adam", "active"),
        ("os:user@vm", "user:ada", "active"),
        ("user:ada@example.org", "user:ada@example.com", "active"),
        ("user:ada@example.org", "user:ada", "active"),
        ("user:os:ada", "user:ada", "active"),
    ],
)
def test_one_person_is_one_whatever_they_are_known_as(
    guarded: BaseDatabaseWrapper, opener: str, reviewer: str, outcome: str
) -> None:
    """Users of Django are told apart by their whole names, others by the bare one."""
    session = open_session(guarded, RECEIPT, needs=1, opener=opener)
    if outcome == "active":
        assert review(guarded, session, reviewer) == outcome
    else:
        with refused(outcome):
            review(guarded, session, reviewer)


LOCALES = [("UTF8", "C"), ("UTF8", "POSIX"), ("LATIN1", "C"), ("SQL_ASCII", "C")]


@pytest.mark.parametrize(("encoding", "locale"), LOCALES)
def test_people_are_told_apart_alike_whatever_the_locale(
    encoding: str, locale: str, django_db_blocker: Any
) -> None:
    """Where the locale folds ASCII alone; SQL_ASCII has no letters beyond that.

    Without ICU, which the embedded server lacks, nothing but UTF8 has a collation that folds
    letters in the C locale: there the check in Python is what tells them apart.
    """
    name = f"weak_{uuid.uuid4().hex[:12]}"
    person = next(one for one in expected_functions("sessions", home="public"))
    letters = "josé" if encoding != "SQL_ASCII" else "jose"
    with django_db_blocker.unblock():
        _maintain(
            f"CREATE DATABASE {{name}} TEMPLATE template0 ENCODING '{encoding}' "
            f"LC_COLLATE '{locale}' LC_CTYPE '{locale}'",
            name,
        )
        try:
            with default_at(NAME=name) as connection:
                do(connection, person.statement)
                asked = "SELECT trigger_ops_person(%s) = trigger_ops_person(%s)"
                icu = one(
                    connection,
                    "SELECT count(*) > 0 FROM pg_collation WHERE collname = 'und-x-icu'",
                )
                alike = one(connection, asked, f"user:{letters}", f"USER: {letters.upper()}")
                assert alike == (icu or encoding != "LATIN1")
                assert not one(connection, asked, f"user:{letters}", "user:rose")
        finally:
            connections.close_all()
            _maintain("DROP DATABASE {name} WITH (FORCE)", name)


def test_a_request_that_waited_too_long_cannot_be_approved(guarded: BaseDatabaseWrapper) -> None:
    session = open_session(guarded, RECEIPT, needs=1, waits="1 millisecond")
    do(guarded, "SELECT pg_sleep(0.01)")
    with refused("TO015"):
        review(guarded, session, "user:bob")
    with refused("TO015"):
        do(guarded, "UPDATE trigger_ops_session SET state = 'active'")
    assert close(guarded, session, "expired") == "expired"


def test_a_review_of_nothing_is_refused(guarded: BaseDatabaseWrapper) -> None:
    with refused("TO015"):
        review(guarded, 99, "user:bob")


def test_eight_reviewers_at_once_begin_a_session_once(
    guarded: BaseDatabaseWrapper, second_connection: Connect
) -> None:
    session = open_session(guarded, RECEIPT, needs=2)
    ready, outcomes = threading.Barrier(8), list[str]()

    def vote(number: int, connection: BaseDatabaseWrapper) -> None:
        connection.ensure_connection()
        ready.wait(timeout=60)
        try:
            outcomes.append(review(connection, session, f"user:r{number}"))
        except DatabaseError as error:
            outcomes.append(str(refusal_code(error)))

    reviewers = [second_connection() for _ in range(8)]
    threads = []
    for number, connection in enumerate(reviewers):
        connection.inc_thread_sharing()
        threads.append(threading.Thread(target=vote, args=[number, connection]))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(outcomes) == ["TO015"] * 6 + ["active", "pending"]
    assert state(guarded, session) == "active"
    began = "SELECT count(*) FROM trigger_ops_sessionevent WHERE kind = 'activated'"
    assert one(guarded, began) == 1


# Ends ---------------------------------------------------------------------------------------------

STATES = ("pending", "active", "ended", "revoked", "denied", "expired", "abandoned")
#: From, to: what `UPDATE` may do, without anything else being so.
MAY_BECOME = {
    ("pending", "ended"),
    ("pending", "revoked"),
    ("active", "ended"),
    ("active", "revoked"),
    ("active", "abandoned"),
    ("active", "expired"),
}


def in_state(connection: BaseDatabaseWrapper, wanted: str) -> int:
    """Return a session that got where it is by the rules."""
    session = open_session(connection, RECEIPT, needs=int(wanted in ("pending", "denied")))
    if wanted == "denied":
        review(connection, session, "user:bob", "deny")
    elif wanted not in ("pending", "active"):
        close(connection, session, wanted)
    assert state(connection, session) == wanted
    return session


def test_states_change_as_they_may_and_in_no_other_way(guarded: BaseDatabaseWrapper) -> None:
    became = set()
    for before in STATES:
        for after in STATES:
            session = in_state(guarded, before)
            change = "UPDATE trigger_ops_session SET state = %s WHERE id = %s"
            if (before, after) in MAY_BECOME:
                do(guarded, change, after, session)
                became.add((before, state(guarded, session)))
                continue
            with pytest.raises(DatabaseError) as caught:
                do(guarded, change, after, session)
            assert refusal_code(caught.value) in ("TO013", "TO015", "TO016"), (before, after)
            assert state(guarded, session) == before
    assert became == MAY_BECOME


@pytest.mark.parametrize("final", ["ended", "revoked", "denied", "expired", "abandoned"])
def test_a_final_state_is_final(guarded: BaseDatabaseWrapper, final: str) -> None:
    session = in_state(guarded, final)
    assert close(guarded, session, "ended") == final
    for change in ("state = 'active'", "end_cause = 'nobody knows'", "expires = 'infinity'"):
        with refused("TO013"):
            do(guarded, f"UPDATE trigger_ops_session SET {change} WHERE id = {session}")
    with refused("TO013"):
        do(guarded, "SELECT trigger_ops_extend(%s, 'user:ada', '1 minute')", session)


def test_what_is_not_there_is_not_closed(guarded: BaseDatabaseWrapper) -> None:
    assert close(guarded, 99) is None


UNCHANGEABLE = {
    "uris": "'[]'",
    "triggers": """'["pgtrigger_other"]'""",
    "reason": "'another'",
    "ticket": "'T-2'",
    "surface": "'shell'",
    "opener": "'user:eve'",
    "opener_key": "'9'",
    "opener_email": "'e@example.org'",
    "role": "'somebody'",
    "host": "'elsewhere'",
    "application": "'other'",
    "needs": "0 - 1",
    "lasts": "'1 year'",
    "idle": "'1 year'",
    "longest": "'1 year'",
    "waits": "'1 year'",
    "most_rows": "1000000000",
    "most_extensions": "99",
    "nonce": "'n'",
    "opened": "now() - '1 hour'::interval",
    "id": "99",
}


@pytest.mark.parametrize("wanted", ["pending", "active"])
def test_what_a_session_is_for_never_changes(guarded: BaseDatabaseWrapper, wanted: str) -> None:
    session = in_state(guarded, wanted)
    before = one(guarded, "SELECT to_jsonb(s)::text FROM trigger_ops_session s")
    columns = json.loads(before)
    mutable = {"state", "activated", "expires", "extensions", "ended", "ended_by", "end_cause"}
    assert set(UNCHANGEABLE) == set(columns) - mutable
    for column, value in UNCHANGEABLE.items():
        with refused("TO013"):
            do(guarded, f"UPDATE trigger_ops_session SET {column} = {value}")
        with refused("TO013"):
            do(guarded, f"UPDATE trigger_ops_session SET {column} = {value}, state = 'ended'")
    assert one(guarded, "SELECT to_jsonb(s)::text FROM trigger_ops_session s") == before
    assert session


@pytest.mark.parametrize(
    "change",
    [
        "expires = expires + '1 hour'::interval",
        "expires = 'infinity', extensions = 1",
        "expires = NULL, extensions = 1",
        "expires = expires + '1 minute'::interval, extensions = 1, activated = NULL",
        "expires = expires + '1 minute'::interval, extensions = 1, activated = now()",
        "expires = expires + '1 minute'::interval, extensions = 0",
        "expires = expires + '1 minute'::interval, extensions = 2",
        "expires = expires + '1 minute'::interval, extensions = NULL",
        "expires = expires - '1 minute'::interval, extensions = 1",
        "expires = expires + '1 minute'::interval, extensions = 1, ended = now()",
        "expires = expires + '1 minute'::interval, extensions = 1, end_cause = 'x'",
        "state = NULL",
        "state = 'unheard of'",
        "activated = NULL",
        "ended_by = 'user:eve'",
    ],
)
def test_times_are_moved_by_the_rules_alone(guarded: BaseDatabaseWrapper, change: str) -> None:
    in_state(guarded, "active")
    before = do(guarded, "SELECT * FROM trigger_ops_session")
    with pytest.raises(DatabaseError):
        do(guarded, f"UPDATE trigger_ops_session SET {change}")
    assert do(guarded, "SELECT * FROM trigger_ops_session") == before


# Extensions (acceptance 18) -----------------------------------------------------------------------


def extend(connection: BaseDatabaseWrapper, session: int, longer: str | None) -> None:
    do(connection, "SELECT trigger_ops_extend(%s, 'user:ada', %s)", session, longer)


def lasts(connection: BaseDatabaseWrapper, session: int) -> Any:
    return one(
        connection,
        "SELECT extract(epoch FROM expires - activated)::int / 60 "
        "FROM trigger_ops_session WHERE id = %s",
        session,
    )


def test_an_extension_ends_at_the_longest_and_there_are_no_more_than_so_many(
    guarded: BaseDatabaseWrapper,
) -> None:
    session = open_session(guarded, RECEIPT, lasts="15 minutes", longest="40 minutes")
    extend(guarded, session, "15 minutes")
    assert lasts(guarded, session) == 30
    extend(guarded, session, "15 minutes")
    assert lasts(guarded, session) == 40
    with refused("TO016"):
        extend(guarded, session, "1 minute")
    kinds = do(guarded, "SELECT kind FROM trigger_ops_sessionevent ORDER BY id")
    happened = ["requested", "activated", "extended", "extended", "refused"]
    assert [kind for (kind,) in kinds] == happened


@pytest.mark.parametrize("longer", ["-1 minute", "0", None])
def test_an_extension_is_longer(guarded: BaseDatabaseWrapper, longer: str | None) -> None:
    session = open_session(guarded, RECEIPT)
    with refused("TO016"):
        extend(guarded, session, longer)
    assert lasts(guarded, session) == 15


def test_what_is_not_active_is_not_extended(guarded: BaseDatabaseWrapper) -> None:
    pending = open_session(guarded, RECEIPT, needs=1)
    expired = open_session(guarded, RECEIPT, lasts="1 millisecond")
    do(guarded, "SELECT pg_sleep(0.01)")
    for session in (pending, expired, 99):
        with refused("TO016"):
            extend(guarded, session, "1 minute")
    events = "SELECT count(*) FROM trigger_ops_sessionevent WHERE kind = 'extended'"
    assert one(guarded, events) == 0


# Rows that are loaded: a restore of data alone, loaddata -------------------------------------------


LOADED = (
    "uris, triggers, reason, surface, opener, needs, lasts, idle, longest, waits, most_rows, "
    "most_extensions, opened, activated, expires, extensions, ended, ended_by, end_cause"
)


@pytest.mark.parametrize("wanted", STATES)
def test_a_session_that_is_loaded_is_kept_or_abandoned(
    guarded: BaseDatabaseWrapper, wanted: str
) -> None:
    session = in_state(guarded, wanted)
    events = one(guarded, "SELECT count(*) FROM trigger_ops_sessionevent")
    do(
        guarded,
        f"INSERT INTO trigger_ops_session (id, role, state, {LOADED}) "
        f"SELECT 70, 'somebody', state, {LOADED} FROM trigger_ops_session WHERE id = {session}",
    )
    kept = "SELECT to_jsonb(s) - ARRAY['id', 'role', 'state', 'ended', 'end_cause'] FROM trigger_ops_session s"
    assert len({json.dumps(row) for (row,) in do(guarded, kept)}) == 1
    row = "SELECT state, role, ended, end_cause FROM trigger_ops_session WHERE id = "
    ((state_now, role, ended, cause),) = do(guarded, f"{row} 70")
    ((_, _, ended_there, cause_there),) = do(guarded, f"{row} {session}")
    assert role == "somebody"
    if wanted in ("pending", "active"):
        assert (state_now, cause) == (
            "abandoned",
            f"It was loaded from elsewhere, where it was {wanted}.",
        )
        assert ended is not None
    else:
        assert (state_now, ended, cause) == (wanted, ended_there, cause_there)
    assert one(guarded, "SELECT count(*) FROM trigger_ops_sessionevent") == events


def test_a_review_that_is_loaded_begins_nothing(guarded: BaseDatabaseWrapper) -> None:
    """Neither for a session that is over, nor for one that is loaded after it."""
    session = open_session(guarded, RECEIPT, needs=1)
    review(guarded, session, "user:bob")
    close(guarded, session, "revoked")
    events = one(guarded, "SELECT count(*) FROM trigger_ops_sessionevent")
    with transaction(guarded):
        do(
            guarded,
            "INSERT INTO trigger_ops_review (session_id, reviewer, person, verdict, remark, at) "
            "SELECT 70, reviewer, person, verdict, remark, '2020-01-01' FROM trigger_ops_review",
        )
        do(
            guarded,
            f"INSERT INTO trigger_ops_session (id, role, state, {LOADED}) "
            f"SELECT 70, role, state, {LOADED} FROM trigger_ops_session",
        )
    do(
        guarded,
        f"INSERT INTO trigger_ops_review (session_id, reviewer, person, verdict, at) "
        f"VALUES ({session}, 'user:cy', 'user:cy', 'approve', '2020-01-01')",
    )
    assert [state(guarded, number) for number in (session, 70)] == ["revoked", "revoked"]
    kept = do(guarded, "SELECT reviewer, at < '2021-01-01' FROM trigger_ops_review ORDER BY id")
    assert kept == [("user:bob", False), ("user:bob", True), ("user:cy", True)]
    assert one(guarded, "SELECT count(*) FROM trigger_ops_sessionevent") == events


def test_a_review_with_a_person_is_a_vote_like_any_where_one_is_awaited(
    guarded: BaseDatabaseWrapper,
) -> None:
    session = open_session(guarded, RECEIPT, needs=2)
    vote = (
        "INSERT INTO trigger_ops_review (session_id, reviewer, person, verdict) "
        f"VALUES ({session}, %s, 'somebody else', 'approve')"
    )
    with refused("TO012"):
        do(guarded, vote, "user:ADA")
    do(guarded, vote, "user:bob")
    with refused("TO014"):
        do(guarded, vote, "user:BOB")
    assert do(guarded, "SELECT person FROM trigger_ops_review") == [("user:bob",)]
    assert state(guarded, session) == "pending"
