from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import atomic

from demo_site.awkward.models import Posting
from demo_site.past.models import Receipt
from tests.damage import pgid, run
from tests.sessions.conftest import (
    CUSTOMER,
    REASON,
    RECEIPT,
    Written,
    default_at,
    is_protected,
    renumber,
    session,
)
from trigger_ops import api
from trigger_ops.exceptions import (
    BadDuration,
    SessionOver,
    SessionRefused,
    TriggerOpsError,
    UnknownDatabase,
    UnknownSelector,
)
from trigger_ops.records import Actor
from trigger_ops.sessions.actors import operating_system_actor
from trigger_ops.sessions.opening import close_session, open_session
from trigger_ops.sessions.requests import session_request, stated_reason
from trigger_ops.states import SessionState

POSTING = "awkward.Posting:check_balance"


def opened(*selectors: str, **named: Any) -> int:
    """Open a session as `session open` does, and leave it open."""
    asked = {"alias": "default", "reason": REASON, "surface": "open", **named}
    return open_session("default", session_request(selectors or (RECEIPT,), **asked))


def policy(uri: str, mode: str, approvals: int = 0) -> None:
    run(
        "INSERT INTO trigger_ops_policy (trigger, uri, mode, approvals) VALUES (%s, %s, %s, %s)",
        *(pgid(uri), uri, mode, approvals),
    )


REFUSED: dict[str, tuple[Sequence[str], dict[str, Any], type[TriggerOpsError], str]] = {
    "nothing named": ((), {}, SessionRefused, "names the triggers that are to stand aside"),
    "blanks named": ((" ",), {}, SessionRefused, "names the triggers that are to stand aside"),
    "typo": (
        ("past.Reciept:append_only",),
        {},
        UnknownSelector,
        'did you mean "past.Receipt:append_only"',
    ),
    "too many": (("tutorial",), {"history": True}, SessionRefused, "more than the 20 that one"),
    "never asks": (
        ("awkward.Article:update_search_vector",),
        {},
        SessionRefused,
        "cannot be ignored: its function, tsvector_update_trigger, asks nobody",
    ),
    "view": (
        ("awkward.OpenOrderLine:delete_marks_done",),
        {},
        SessionRefused,
        "a view, whose rows cannot be witnessed",
    ),
    "history swept in": (
        ("tutorial.Tracked",),
        {},
        SessionRefused,
        r'"tutorial\.Tracked:\w+", .* would stop writing history',
    ),
    "other database": (
        ("awkward.ArchivedDocument:append_only",),
        {},
        SessionRefused,
        'has no table on "default"',
    ),
    "no reason": ((RECEIPT,), {"reason": ""}, SessionRefused, "a reason of at least 10 letters"),
    "short reason": ((RECEIPT,), {"reason": "  fix   it "}, SessionRefused, "at least 10 letters"),
    "punctuation": ((RECEIPT,), {"reason": "." * 40}, SessionRefused, "at least 10 letters"),
    "one letter": ((RECEIPT,), {"reason": "x" * 40}, SessionRefused, "repeats itself"),
    "filler": ((RECEIPT,), {"reason": "asdf asdf asdf asdf"}, SessionRefused, "repeats itself"),
    "one word": ((RECEIPT,), {"reason": "because because"}, SessionRefused, "repeats itself"),
    "too long": ((RECEIPT,), {"duration": "5h"}, SessionRefused, "may last 4h and no longer"),
    "no duration": ((RECEIPT,), {"duration": "soon"}, BadDuration, '"soon" is no duration'),
    "too short": ((RECEIPT,), {"duration": "10ms"}, BadDuration, "write 1s or more"),
    "nothing": ((RECEIPT,), {"duration": dt.timedelta()}, BadDuration, "write 1s or more"),
    "nobody": ((RECEIPT,), {"actor": "ada"}, SessionRefused, "give user:NAME or os:user@host"),
    "no such database": ((RECEIPT,), {"using": "defualt"}, UnknownDatabase, "did you mean"),
    "no PostgreSQL": ((RECEIPT,), {"using": "lite"}, SessionRefused, "no PostgreSQL database"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_is_refused_with_a_sentence(
    guarded: BaseDatabaseWrapper, written: Written, case: str
) -> None:
    selectors, named, error, sentence = REFUSED[case]
    block = api.session(*selectors, **{"reason": REASON, **named})
    with pytest.raises(error, match=sentence), block:
        raise AssertionError("the block ran")
    assert written("SELECT count(*) FROM trigger_ops_session") == [(0,)]
    assert not connection.execute_wrappers


REASONS: dict[str, str] = {
    "1234567890": "fewer than 5 different letters",
    "2026-11-29 10:02:11": "fewer than 5 different letters",
    "xxxxxxxxxx yyyyyyyyyy": "fewer than 5 different letters",
    "aaaabbbbccccdddd": "fewer than 5 different letters",
    "because because": "repeats itself",
    "Because, because... BECAUSE": "repeats itself",
    "fix fix fix it it it": "repeats itself",
    "no no no no no no": "repeats itself",
    "..........": "at least 10 letters and digits",
    "__________": "at least 10 letters and digits",
    "\u0301" * 20: "at least 10 letters and digits",
    "fix it": "at least 10 letters and digits",
    "the numbers were typed wrong": "",
    "INC-4711: 2 of 3 amounts are wrong": "",
    "correct, correct and correct once more": "",
    "Beträge berichtigt": "",
    "исправить сумму": "",
    "請求書の番号が間違っている": "",
    "תיקון מספר החשבונית": "",
}


@pytest.mark.parametrize(("reason", "sentence"), REASONS.items(), ids=ascii)
@pytest.mark.parametrize("what", ["A session", "An allowance", "An action"])
def test_a_reason_says_something(reason: str, sentence: str, what: str) -> None:
    if not sentence:
        assert stated_reason(f" {reason}\n", what=what) == reason
        return
    with pytest.raises(SessionRefused, match=sentence):
        stated_reason(reason, what=what)


@pytest.mark.parametrize(("least", "reason"), [(1, "a"), (3, "abc"), (5, "abcde")])
def test_a_site_may_be_content_with_less(settings: Any, least: int, reason: str) -> None:
    settings.TRIGGER_OPS = {"SESSION_REASON": least}
    assert stated_reason(reason) == reason
    with pytest.raises(SessionRefused):
        stated_reason("1" * least)


def test_g13_a_trigger_that_asks_nobody_is_refused(bound: BaseDatabaseWrapper) -> None:
    uri = "awkward.Article:update_search_vector"
    for block in (session(uri), session(RECEIPT, uri)):
        with pytest.raises(SessionRefused, match="cannot be ignored: its function"), block:
            raise AssertionError("the block ran")


def test_history_is_had_by_name_or_by_asking(guarded: BaseDatabaseWrapper) -> None:
    with pytest.raises(SessionRefused) as caught, session("tutorial.Tracked"):
        pass
    (uri, *_) = str(caught.value).replace('"', "").replace(",", "").split()
    with session(uri) as running:
        assert running.uris == (uri,)
    with session("tutorial.Tracked", history=True) as running:
        assert uri in running.uris


def test_what_is_not_installed_is_refused(guarded: BaseDatabaseWrapper) -> None:
    run("DROP TRIGGER {trigger} ON past_receipt", trigger=pgid(RECEIPT))
    with pytest.raises(SessionRefused, match=r"manage\.py pgtrigger install past\.Receipt:append"):
        session().__enter__()


def test_a_foreign_table_is_refused_too(guarded: BaseDatabaseWrapper) -> None:
    run("CREATE EXTENSION postgres_fdw")
    run("CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw")
    run("CREATE SCHEMA far")
    run("CREATE FOREIGN TABLE far.past_receipt (id bigint, number text) SERVER elsewhere")
    run(
        "CREATE TRIGGER {name} BEFORE UPDATE OR DELETE ON far.past_receipt "
        "FOR EACH ROW EXECUTE FUNCTION public.{name}()",
        name=pgid(RECEIPT),
    )
    with pytest.raises(SessionRefused, match="a foreign table, whose rows cannot be witnessed"):
        session().__enter__()


def test_without_a_guard_there_is_no_session(own_database: BaseDatabaseWrapper) -> None:
    with pytest.raises(SessionRefused, match=r"run manage\.py pgtrigger guard install"):
        session().__enter__()


def test_without_our_tables_there_is_no_session(empty_default: BaseDatabaseWrapper) -> None:
    with pytest.raises(SessionRefused, match=r"run manage\.py migrate --database default"):
        session().__enter__()


@pytest.fixture
def empty_default(make_database: Callable[..., str]) -> Any:
    with default_at(NAME=make_database(empty=True)) as made:
        yield made


def test_a_server_that_writes_nothing_refuses(guarded: BaseDatabaseWrapper) -> None:
    run("SET default_transaction_read_only = on")
    with pytest.raises(SessionRefused, match="read-only or a standby"):
        session().__enter__()


def test_a_transaction_that_writes_nothing_refuses(guarded: BaseDatabaseWrapper) -> None:
    with atomic():
        run("SET TRANSACTION READ ONLY")
        with pytest.raises(SessionRefused, match="is read-only"):
            session().__enter__()
        run("SELECT 1")


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("form", ["new", "id"])
def test_an_isolated_transaction_is_not_joined(
    guarded: BaseDatabaseWrapper, written: Written, level: str, form: str
) -> None:
    number = opened()
    block = session() if form == "new" else api.session(id=number)
    with atomic():
        run(f"SET TRANSACTION ISOLATION LEVEL {level}")
        with pytest.raises(SessionRefused, match=f"inside a {level} transaction"):
            block.__enter__()
        run("SELECT 1")
    assert written("SELECT count(*) FROM trigger_ops_session") == [(1,)]


def test_a_failed_transaction_is_not_joined(guarded: BaseDatabaseWrapper) -> None:
    with pytest.raises(SessionRefused, match="has failed already"), atomic():
        with pytest.raises(Exception, match="nonsense"):
            run("SELECT nonsense")
        session().__enter__()


@pytest.mark.parametrize("form", ["new", "id"])
def test_g12_what_may_be_deferred_needs_a_transaction_of_the_session(
    bound: BaseDatabaseWrapper, written: Written, form: str
) -> None:
    def block() -> Any:
        return session(POSTING) if form == "new" else api.session(id=opened(POSTING))

    with block() as running:
        with atomic():
            Posting.objects.create(booking=1, amount=5)
        Posting.objects.create(booking=1, amount=7)
    assert len(written.changes(running.id)) == 2
    one = block()
    with atomic(), pytest.raises(SessionRefused, match="may be deferred until the transaction"):
        one.__enter__()
    with pytest.raises(Exception, match="Booking 2 is not balanced"):
        Posting.objects.create(booking=2, amount=5)


@pytest.mark.parametrize(
    ("mode", "approvals", "needs"), [("four_eyes", 0, 1), ("four_eyes", 2, 2)]
)
def test_what_takes_approval_is_refused_here_and_used_by_id(
    guarded: BaseDatabaseWrapper,
    receipt: Receipt,
    written: Written,
    mode: str,
    approvals: int,
    needs: int,
) -> None:
    policy(RECEIPT, mode, approvals)
    with pytest.raises(SessionRefused, match=f"the approval of {needs}: open it with manage"):
        session().__enter__()
    number = opened()
    with pytest.raises(SessionRefused, match=f"pgtrigger session approve {number}"):
        api.session(id=number).__enter__()
    for reviewer in range(needs):
        written(
            "SELECT trigger_ops_review(%s, %s, '', 'approve', '')", number, f"user:r{reviewer}"
        )
    with api.session(id=number):
        assert renumber(receipt, "right") == 1
    assert written.changes(number) == [("UPDATE", "wrong", "right")]


def test_the_default_policy_may_take_approval(guarded: BaseDatabaseWrapper) -> None:
    run("UPDATE trigger_ops_guard SET policy = 'four_eyes'")
    with pytest.raises(SessionRefused, match="the approval of 1"):
        session().__enter__()


@pytest.mark.parametrize(
    ("wanted", "error", "sentence"),
    [
        ("ended", SessionOver, "is ended: open another one"),
        ("revoked", SessionOver, "is revoked: open another one"),
    ],
)
def test_an_id_of_a_session_that_has_an_end(
    guarded: BaseDatabaseWrapper, wanted: str, error: type[TriggerOpsError], sentence: str
) -> None:
    number = opened()
    close_session(
        "default", "public", number, wanted=SessionState(wanted), actor="user:eve", cause=""
    )
    with pytest.raises(error, match=sentence):
        api.session(id=number).__enter__()


def test_an_unknown_id(guarded: BaseDatabaseWrapper) -> None:
    with pytest.raises(SessionRefused, match='There is no session 77 on "default"'):
        api.session(id=77).__enter__()


@pytest.mark.parametrize(
    "named", [{"reason": REASON}, {"duration": "1m"}, {"ticket": "A-1"}, {"history": True}]
)
def test_an_id_takes_nothing_else(named: dict[str, Any]) -> None:
    with pytest.raises(SessionRefused, match="give its id alone"):
        api.session(id=1, **named)


def test_a_request_is_opened_as_it_was_asked_for(
    guarded: BaseDatabaseWrapper, written: Written, settings: Any
) -> None:
    settings.TRIGGER_OPS = {"SESSION_LONGEST": "2h", "SESSION_IDLE": "3m", "SESSION_ROWS": 7}
    with session(
        RECEIPT,
        CUSTOMER,
        RECEIPT,
        reason=f"  {REASON} ",
        actor=Actor(name="user:ada", key="5", email="ada@x.example"),
        ticket=" OPS-1 ",
        duration=dt.timedelta(minutes=5),
    ) as running:
        assert running.database == "default"
        assert running.uris == (RECEIPT, CUSTOMER)
        left = running.expires - dt.datetime.now(dt.UTC)
        assert dt.timedelta(minutes=4) < left <= dt.timedelta(minutes=5)
        assert running.state() is SessionState.ACTIVE
    ((triggers, reason, ticket, surface, *rest),) = written(
        "SELECT triggers::text, reason, ticket, surface, opener, opener_key, opener_email,"
        " longest::text, idle::text, most_rows, state FROM trigger_ops_session"
    )
    assert pgid(RECEIPT) in triggers
    assert (reason, ticket, surface) == (REASON, "OPS-1", "code")
    assert rest == ["user:ada", "5", "ada@x.example", "02:00:00", "00:03:00", 7, "ended"]


def test_the_actor_is_who_runs_the_process(guarded: BaseDatabaseWrapper, written: Written) -> None:
    with session() as running:
        pass
    assert written("SELECT opener FROM trigger_ops_session WHERE id = %s", running.id) == [
        (operating_system_actor(),)
    ]
    assert written.events(running.id) == ["requested", "activated", "ended"]


def test_what_ended_a_session_is_on_record(guarded: BaseDatabaseWrapper, written: Written) -> None:
    with pytest.raises(ZeroDivisionError), session() as running:
        raise ZeroDivisionError
    assert written(
        "SELECT state, end_cause FROM trigger_ops_session WHERE id = %s", running.id
    ) == [("ended", "ZeroDivisionError was raised")]


def test_a_session_outlives_a_transaction_that_is_rolled_back(
    guarded: BaseDatabaseWrapper, receipt: Receipt, written: Written
) -> None:
    with pytest.raises(ZeroDivisionError), atomic(), session() as running:
        renumber(receipt)
        raise ZeroDivisionError
    assert written.state(running.id) == "ended"
    assert written.changes(running.id) == []
    assert is_protected(receipt)
