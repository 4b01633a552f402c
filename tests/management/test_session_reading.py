"""``pgtrigger session list|show|report|export``: for people and for programs."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from pgtrigger import ignore

from demo_site.past.models import Receipt
from demo_site.tutorial.models import SoftDelete
from tests.damage import make_role, run
from tests.management.sessions import (
    HOSTILE,
    REASON,
    RECEIPT,
    SOFT_DELETE,
    Run,
    demand_approval,
    lines,
    newest,
    opened,
    receipts,
    reviewer,
    shown,
    site_at_guarded,
)
from tests.weaknesses.conftest import default_at
from trigger_ops import api
from trigger_ops.exceptions import SessionRefused
from trigger_ops.sessions.actors import operating_system_actor

pytestmark = pytest.mark.usefixtures("guarded")

CONTRACT = (
    *("schema", "id", "state", "triggers", "reason", "ticket", "opened_by", "reviews", "opened"),
    *("expires", "ended", "end_cause", "statements", "changes", "findings"),
)
READING = (("list",), ("list", "--denied"), ("show", "1"), ("report", "1"), ("export", "1"))


def correct(old: str, new: str, **named: Any) -> int:
    """Give a receipt another number, in a session of its own; return that."""
    with api.session(RECEIPT, reason=REASON, **named) as running:
        Receipt.objects.filter(number=old).update(number=new)
        return running.id


def test_the_document_of_a_session_keeps_its_contract(pgtrigger: Run) -> None:
    receipts("A1")
    number = correct("A1", "B1", ticket="OPS-7", actor="user:ann")
    found = shown(number, pgtrigger)
    assert set(CONTRACT) <= set(found)
    assert {name: found[name] for name in CONTRACT[:7]} == {
        "schema": "trigger_ops.session/1",
        "id": number,
        "state": "ended",
        "triggers": [RECEIPT],
        "reason": REASON,
        "ticket": "OPS-7",
        "opened_by": "user:ann",
    }
    assert (found["reviews"], found["findings"], found["end_cause"]) == ([], [], "")
    assert found["opened"] < found["ended"] < found["expires"]
    (statement,) = found["statements"]
    assert statement["template"].startswith('UPDATE "past_receipt" SET "number" = %s')
    assert (statement["error"], set(statement) >= {"template", "rows", "at", "error"}) == (
        "",
        True,
    )
    (change,) = found["changes"]
    assert set(change) >= {"table", "op", "old", "new", "transaction", "at"}
    assert (change["table"], change["op"]) == ("past_receipt", "UPDATE")
    assert change["transaction"] == statement["transaction"]


def test_a_deleted_row_is_old_and_nothing_is_new(pgtrigger: Run) -> None:
    receipts("A1")
    with api.session(RECEIPT, reason=REASON) as running:
        Receipt.objects.all().delete()
    (change,) = shown(running.id, pgtrigger)["changes"]
    assert (change["op"], change["new"], change["old"]["number"]) == ("DELETE", None, "A1")


def test_a_list_is_newest_first_and_has_no_evidence(pgtrigger: Run) -> None:
    receipts("A1")
    numbers = [correct("A1", "B1"), opened().id]
    document = pgtrigger("session", "list", "--format", "json").document
    assert (document["schema"], document["exit_code"]) == ("trigger_ops.sessions/1", 0)
    assert [one["id"] for one in document["sessions"]] == numbers[::-1]
    for one in document["sessions"]:
        assert set(CONTRACT) - set(one) == {"schema", "statements", "changes"}


@pytest.mark.parametrize(
    ("arguments", "states"),
    [
        ((), ["pending", "expired", "abandoned", "revoked", "ended", "active"]),
        (("--state", "active"), ["active"]),
        (("--state", "EXPIRED", "--state", "abandoned"), ["expired", "abandoned"]),
        (("--state", "denied"), []),
        (("--opener", "user:bob"), ["ended"]),
        (("--limit", "2"), ["pending", "expired"]),
    ],
)
def test_states_are_what_the_databases_clock_makes_of_them(
    arguments: tuple[str, ...], states: list[str], pgtrigger: Run
) -> None:
    opened()
    api.end_session(opened(actor="user:bob").id)
    api.revoke_session(opened().id, reason="stop")
    asked = (
        "SELECT trigger_ops_open(jsonb_build_object('uris', '[\"a.B:c\"]'::jsonb, 'triggers',"
        " '[\"pgtrigger_c\"]'::jsonb, 'reason', 'long ago', 'surface', %s::text, 'opener',"
        " 'os:me@here', 'lasts', '1 hour', 'idle', '1 microsecond', 'longest', '1 hour',"
        " 'waits', '1 hour', 'most_rows', 1, 'most_extensions', 0))"
    )
    run(asked, "run")
    run(asked, "open")
    demand_approval()
    opened()
    document = pgtrigger("session", "list", "--format", "json", *arguments).document
    assert [one["state"] for one in document["sessions"]] == states
    stored = {state for (state,) in run("SELECT DISTINCT state FROM trigger_ops_session")}
    assert stored == {"active", "ended", "revoked", "pending"}


def test_a_request_that_nobody_reviewed_is_expired(pgtrigger: Run, settings: Any) -> None:
    settings.TRIGGER_OPS = {"SESSION_WAITS": "1ms"}
    demand_approval()
    assert opened().state == "expired"


def test_text_tells_who_why_what_and_which_rows(pgtrigger: Run) -> None:
    receipts("A1")
    number = correct("A1", "B1", ticket="OPS-7")
    text = pgtrigger("session", "show", str(number)).out
    for part in (
        f"Session {number} on default: ended",
        RECEIPT,
        REASON,
        "OPS-7",
        "Timeline",
        'UPDATE "past_receipt" SET "number" = %s',
        ': number "A1" → "B1"',
        f"Session {number} is ended: 1 row on record, clean.",
    ):
        assert part in text


def test_of_many_rows_the_text_shows_some_and_the_document_all(pgtrigger: Run) -> None:
    receipts(*map(str, range(1205)))
    with api.session(RECEIPT, reason=REASON) as running:
        Receipt.objects.update(number="x")
    assert "… and 1,105 rows more" in pgtrigger("session", "show", str(running.id)).out
    changes = shown(running.id, pgtrigger)["changes"]
    assert [one["number"] for one in changes] == list(range(1, 1206))


def test_numbers_keep_all_their_digits(pgtrigger: Run) -> None:
    run("ALTER TABLE past_receipt ADD COLUMN exact numeric, ADD COLUMN big numeric")
    receipts("A1")
    with api.session(RECEIPT, reason=REASON) as running:
        run("UPDATE past_receipt SET exact = 12.50, big = 12345678901234567890.123456789")
    (change,) = shown(running.id, pgtrigger)["changes"]
    assert change["new"]["exact"] == 12.5
    assert change["new"]["big"] == "12345678901234567890.123456789"
    text = pgtrigger("session", "show", str(running.id)).out
    assert "big null → 12345678901234567890.123456789, exact null → 12.50" in text


def test_letters_are_shown_as_they_are_wherever_a_terminal_can(
    pgtrigger: Run, guarded: BaseDatabaseWrapper
) -> None:
    receipts("Né0")
    number = correct("Né0", "日本\x1b[2J")
    text = pgtrigger("session", "show", str(number)).out
    assert 'number "Né0" → "日本\\u001b[2J"' in text
    for encoding, shown_as in (("utf-8", '"Né0"'), ("ascii", '"N\\xe90"')):
        result = site_at_guarded().manage(
            *("pgtrigger", "session", "show", str(number)),
            environment={"PYTHONIOENCODING": encoding},
        )
        assert (result.code, shown_as in result.out) == (0, True), result.out


def test_an_export_has_one_document_a_line_kind_after_kind(pgtrigger: Run) -> None:
    receipts("A1")
    demand_approval()
    number = opened().id
    api.review_session(number, reviewer=reviewer(), verdict="approve", remark="looks right")
    with api.session(id=number):
        Receipt.objects.update(number="B1")
    api.end_session(number)
    found = lines(pgtrigger("session", "export", str(number)))
    assert list(dict.fromkeys(one["kind"] for one in found)) == [
        *("session", "review", "event", "transaction", "statement", "decision", "change"),
        "report",
    ]
    assert {(one["schema"], one["id"]) for one in found} == {
        ("trigger_ops.session_export/1", number)
    }
    by_kind = {one["kind"]: one[one["kind"]] for one in found}
    assert by_kind["review"]["remark"] == "looks right"
    assert by_kind["change"]["schema"] == "public"
    assert by_kind["change"]["new"]["number"] == "B1"


def events(number: int) -> list[tuple[str, str]]:
    return [(one.kind, one.actor) for one in api.show_session(number).events]


def test_that_a_session_was_exported_is_on_record_and_in_the_export(pgtrigger: Run) -> None:
    receipts("A1")
    number = correct("A1", "B1")
    before = events(number)
    exported = [("exported", operating_system_actor())]
    for times in (1, 2):
        found = lines(pgtrigger("session", "export", str(number)))
        told = [one["event"] for one in found if one["kind"] == "event"]
        assert [(one["kind"], one["actor"]) for one in told] == before + exported * times
        assert events(number) == before + exported * times
    assert api.session_report(number).clean


def test_an_export_takes_nothing_but_the_right_to_read(
    pgtrigger: Run, caplog: pytest.LogCaptureFixture
) -> None:
    receipts("A1")
    number = correct("A1", "B1")
    before = events(number)
    connections["default"].close()
    with default_at(OPTIONS={"options": "-c default_transaction_read_only=on"}):
        result = pgtrigger("session", "export", str(number))
    assert (result.code, result.err) == (0, "")
    assert lines(result)[-1]["report"]["clean"]
    assert events(number) == before
    assert f"The export of session {number}" in caplog.text


# What was denied ----------------------------------------------------------------------------------


def denials(reason: str = "no") -> None:
    """Have a statement and a request refused."""
    receipts("A1")
    run("UPDATE trigger_ops_guard SET policy = 'session'")
    with pytest.raises(DatabaseError), ignore(RECEIPT):
        Receipt.objects.all().delete()
    with pytest.raises(SessionRefused):
        api.open_session(RECEIPT, reason=reason, actor="user:ada")


def test_what_was_denied_is_listed_newest_first(pgtrigger: Run) -> None:
    denials()
    document = pgtrigger("session", "list", "--denied", "--format", "json").document
    assert (document["schema"], document["exit_code"]) == ("trigger_ops.sessions/1", 0)
    assert document["sessions"] == []
    request, statement = document["denied"]
    assert {request[key] for key in ("kind", "actor", "request")} == {
        *("rejected", "user:ada", "a session")
    }
    assert (request["session"], request["reason"], request["triggers"]) == (None, "no", [RECEIPT])
    assert (statement["kind"], statement["code"]) == ("refused", "TO001")
    assert (statement["session"], statement["triggers"]) == (None, [RECEIPT])
    assert (
        set(request)
        == set(statement)
        == {
            *("id", "kind", "actor", "at", "session", "code", "message", "request", "reason"),
            *("template", "role", "application", "triggers", "pgids"),
        }
    )
    first, second = pgtrigger("session", "list", "--denied").out.splitlines()
    assert " user:ada was refused a session: A session takes a reason of" in first
    assert first.endswith(f"Triggers: {RECEIPT}. Reason given: no")
    assert f"{operating_system_actor()} as role " in second
    assert (
        " was refused a statement (TO001): pgtrigger_append_only_53885 is ignored in a" in second
    )
    newest = pgtrigger("session", "list", "--denied", "--limit", "1").out
    assert newest == f"{first}\n"
    assert pgtrigger("session", "list").out == ""


def test_what_somebody_was_refused_for_reaches_no_terminal(pgtrigger: Run) -> None:
    denials(reason="\x1b[2J\n" * 9)
    for wanted in ("text", "json"):
        assert "\x1b" not in pgtrigger("session", "list", "--denied", "--format", wanted).out
    assert len(pgtrigger("session", "list", "--denied").out.splitlines()) == 2


def test_the_guard_tells_how_much_was_denied(pgtrigger: Run) -> None:
    (database,) = pgtrigger("guard", "status", "--format", "json").document["databases"]
    assert (database["denied"], database["last_denied"]) == (0, None)
    assert "Refused so far" not in pgtrigger("guard", "status").out
    denials()
    (database,) = pgtrigger("guard", "status", "--format", "json").document["databases"]
    assert (database["denied"], database["last_denied"] is not None) == (2, True)
    text = pgtrigger("guard", "status").out
    assert "  Refused so far: 2 statements and requests, the last one " in text
    assert "manage.py pgtrigger session list --denied -d default" in text


def test_a_report_is_clean_or_has_findings(pgtrigger: Run) -> None:
    receipts("A1")
    clean = correct("A1", "B1")
    result = pgtrigger("session", "report", str(clean), "--check")
    assert (result.code, result.out) == (0, f"Session {clean} is ended: 1 row on record, clean.\n")
    SoftDelete.objects.create()
    with api.session(SOFT_DELETE, reason=REASON) as running:
        SoftDelete.objects.all().delete()
    result = pgtrigger("session", "report", str(running.id))
    assert result.code == 0
    assert "Hard delete of 1 row of public.tutorial_softdelete" in result.out
    result = pgtrigger("session", "report", str(running.id), "--check", "--format", "json")
    assert (result.code, result.document["exit_code"], result.document["clean"]) == (1, 1, False)
    assert result.document["schema"] == "trigger_ops.session_report/1"


@pytest.mark.parametrize("wanted", ["text", "json"])
@pytest.mark.parametrize("verb", ["list", "show", "report", "export"])
def test_what_somebody_wrote_reaches_no_terminal(verb: str, wanted: str, pgtrigger: Run) -> None:
    number = opened(reason=f"{REASON} {HOSTILE}", ticket=HOSTILE).id
    words = (verb,) if verb == "list" else (verb, str(number))
    result = pgtrigger("session", *words, "--format", wanted)
    assert result.code == 0
    assert not {"\x1b", "\u202e"} & set(result.out)
    if verb == "list" and wanted == "text":
        assert len(result.out.splitlines()) == 1
    assert newest().ticket == HOSTILE


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ("show", "99"),
            2,
            'There is no session 99 on "default": manage.py pgtrigger session list',
        ),
        (("show", str(2**70)), 2, f"There is no session {2**70}"),
        (("show", "-1"), 2, ""),
        (("show", "1; DROP TABLE x"), 2, '"1; DROP TABLE x" is no number of a session'),
        (("show", "٣"), 2, "is no number of a session"),
        (("show", "1", "-d", "nope"), 2, 'has no alias "nope"'),
        (("show", "1", "-d", "lite"), 4, '"lite" is no PostgreSQL database'),
        (("report", "99"), 2, "There is no session 99"),
        (("export", "99"), 2, "There is no session 99"),
        (("list", "--limit", "0"), 2, "--limit must be a number, and at least 1."),
        (("list", "--denied", "--limit", "0"), 2, "--limit must be a number, and at least 1."),
        (("list", "--denied", "--state", "active"), 2, "--state is about sessions"),
        (("list", "--denied", "--opener", "user:x"), 2, "--opener is about sessions"),
    ],
)
def test_what_is_asked_for_wrongly_is_said(
    arguments: tuple[str, ...], code: int, sentence: str, pgtrigger: Run
) -> None:
    result = pgtrigger("session", *arguments)
    assert (result.code, result.out) == (code, "")
    assert sentence in result.err


@pytest.mark.parametrize("words", READING)
def test_a_role_that_may_only_select_reads(words: tuple[str, ...], pgtrigger: Run) -> None:
    receipts("A1")
    correct("A1", "B1")
    role = make_role("auditor", options="LOGIN")
    try:
        run("GRANT USAGE ON SCHEMA public TO {role}", role=role)
        run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", role=role)
        connections["default"].close()
        options = {"options": "-c default_transaction_read_only=on"}
        as_postgres = pgtrigger("session", *words)
        with default_at(OPTIONS=options):
            run("SET ROLE {role}", role=role)
            assert pgtrigger("session", *words) == as_postgres
    finally:
        run("DROP OWNED BY {role}", role=role)
        run("DROP ROLE {role}", role=role)


def test_reading_inside_a_session_and_its_transaction_changes_nothing(pgtrigger: Run) -> None:
    receipts("A1")
    with api.session(RECEIPT, reason=REASON) as running:
        assert pgtrigger("session", "show", str(running.id)).code == 0
        assert running.refused is None
        Receipt.objects.update(number="B1")
        assert len(shown(running.id, pgtrigger)["changes"]) == 1


def test_tables_that_are_missing_are_named(pgtrigger: Run) -> None:
    run("ALTER TABLE trigger_ops_change RENAME TO hidden")
    result = pgtrigger("session", "list")
    assert (result.code, result.out) == (4, "")
    assert "run manage.py migrate --database default" in result.err
