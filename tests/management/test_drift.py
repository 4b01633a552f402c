"""``check --record|--max-age``, ``allow`` and ``drift``: findings over time, on the command line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import F

from tests import damage
from tests.management.conftest import Result
from trigger_ops import api, conf
from trigger_ops.api import scheduling
from trigger_ops.inspection import Scope
from trigger_ops.models import Allowance, DriftFinding, DriftRun, DriftTarget, FindingEvent

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db(databases=["default", "archive"])

INVOICE = "past.Invoice:protect_deletes"
REASON = ("--reason", "mended with the release on Friday")
ALLOWED = ("allow", "add", "C001", "--for", "7d", *REASON)


def gut() -> None:
    damage.gut("pgtrigger_protect_deletes_4ee25")


@pytest.fixture
def gutted(pgtrigger: Run) -> Result:
    """A trigger is gutted, and a recorded check has seen it."""
    gut()
    return pgtrigger("check", "--record", "-d", "default")


def age(by: dt.timedelta) -> None:
    """Have all that was recorded happen so much earlier."""
    DriftRun.objects.update(began=F("began") - by, finished=F("finished") - by)
    DriftFinding.objects.update(resolved=F("resolved") - by)


def kinds() -> list[str]:
    events = FindingEvent.objects.filter(finding__code="trigger_ops.C001").order_by("id")
    return list(events.values_list("kind", flat=True))


# check --record ----------------------------------------------------------------------------------


def test_a_recorded_check_keeps_what_it_prints(gutted: Result, pgtrigger: Run) -> None:
    document = pgtrigger("check", "--record", "-d", "default", "--format", "json").document
    run = DriftRun.objects.get(id=document["run_id"])
    (target,) = run.targets.all()
    assert (run.source, run.complete, target.database, target.state) == (
        "command",
        True,
        "default",
        "ok",
    )
    assert target.statuses == document["summary"]
    (finding,) = [one for one in document["findings"] if one["id"] == "trigger_ops.C001"]
    kept = DriftFinding.objects.get(code="trigger_ops.C001")
    assert finding["first_seen"] == kept.first_seen.isoformat()
    assert (finding["digest"], finding["allowance"]) == (kept.digest, None)
    assert finding["runbook"] == conf.runbook("C001")
    assert document["unrecorded"] is None
    assert kinds() == ["opened"]


def test_a_plain_check_keeps_nothing_and_knows_what_was_kept(
    gutted: Result, pgtrigger: Run
) -> None:
    before = DriftRun.objects.count()
    document = pgtrigger("check", INVOICE, "-d", "default", "--format", "json").document
    assert document["findings"][0]["first_seen"] is not None
    assert DriftRun.objects.count() == before


def test_a_check_that_cannot_be_recorded_is_printed_and_incomplete(pgtrigger: Run) -> None:
    damage.run("ALTER TABLE trigger_ops_driftrun RENAME TO hidden")
    result = pgtrigger("check", "past.Customer", "-d", "default", "--record")
    assert result.code == 3
    assert "Incomplete: the run could not be recorded." in result.out
    assert "Not recorded as asked: " in result.err
    assert "run manage.py migrate trigger_ops --database default." in result.err
    gut()
    assert pgtrigger("check", INVOICE, "-d", "default", "--record").code == 1


def test_a_recording_database_that_is_not_postgresql_is_a_wrong_setting(
    pgtrigger: Run, settings: Any
) -> None:
    settings.TRIGGER_OPS = {"RECORD_DATABASE": "sqlite"}
    if "sqlite" not in settings.DATABASES:
        settings.TRIGGER_OPS = {"RECORD_DATABASE": "nowhere"}
    result = pgtrigger("check", "-d", "default", "--record")
    assert (result.code, result.out) == (2, "")
    assert 'TRIGGER_OPS["RECORD_DATABASE"] is ' in result.err


# check --max-age ---------------------------------------------------------------------------------


def test_without_any_run_silence_is_told(pgtrigger: Run) -> None:
    result = pgtrigger("check", "--max-age", "15m")
    assert result.code == 3
    assert result.out.startswith("No complete run was ever recorded: ")


def test_a_fresh_run_without_findings_is_clean(pgtrigger: Run) -> None:
    pgtrigger("check", "--record", "-d", "default")
    result = pgtrigger("check", "--max-age", "15m", "-d", "default")
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith("ago: nothing open at WARNING or above.\n")


def test_the_last_run_is_looked_at_and_nothing_else(gutted: Result, pgtrigger: Run) -> None:
    assert pgtrigger("install", INVOICE).code == 0
    result = pgtrigger("check", "--max-age", "15m", "-d", "default")
    assert result.code == 1
    assert "CRITICAL trigger_ops.C001" in result.out
    assert pgtrigger("check", "--record", "-d", "default").code == 0
    assert pgtrigger("check", "--max-age", "15m", "-d", "default").code == 0
    assert kinds() == ["opened", "resolved"]


def test_an_old_run_is_no_evidence(gutted: Result, pgtrigger: Run) -> None:
    age(dt.timedelta(hours=2))
    result = pgtrigger("check", "--max-age", "1h", "-d", "default", "--format", "json")
    assert result.code == 3
    document = result.document
    assert (document["exit_code"], document["complete"]) == (3, False)
    assert document["max_age_seconds"] == 3600
    assert 7200 <= document["age_seconds"] < 7300
    assert pgtrigger("check", "--max-age", "3h", "-d", "default").code == 1


def test_an_incomplete_run_does_not_count(gutted: Result, pgtrigger: Run) -> None:
    DriftTarget.objects.update(state="unreachable")
    DriftRun.objects.update(complete=False)
    assert pgtrigger("check", "--max-age", "1h").code == 3
    assert pgtrigger("check", "--max-age", "1h", "-d", "default").code == 3


def test_a_run_of_one_database_says_nothing_of_another(gutted: Result, pgtrigger: Run) -> None:
    assert pgtrigger("check", "--max-age", "1h", "-d", "archive").code == 3


def test_a_run_of_some_triggers_says_nothing_of_all(pgtrigger: Run) -> None:
    pgtrigger("check", "past.Customer", "--record", "-d", "default")
    assert pgtrigger("check", "--max-age", "1h", "-d", "default").code == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--max-age", "soon"), '"soon" is no duration: write '),
        (("--max-age", ""), '"" is no duration: write '),
        (("--max-age", "1h", "--record"), "give no --record beside it"),
        (("--max-age", "1h", "--notify"), "give no --notify beside it"),
        (("--max-age", "1h", "past"), "give no selector beside it"),
        (("--max-age", "1h", "--all-schemas"), "give no --all-schemas beside it"),
        (("--max-age", "1h", "--format", "junit"), "choose from text, json"),
        (("--max-age", "1h", "-d", "defualt"), 'did you mean "default"?'),
    ],
)
def test_what_does_not_go_with_it_is_usage(
    words: tuple[str, ...], sentence: str, pgtrigger: Run
) -> None:
    result = pgtrigger("check", *words)
    assert (result.code, result.out) == (2, "")
    assert sentence in result.err


# A database that is gone --------------------------------------------------------------------------

WHY = 'The settings have no PostgreSQL database "gone" any more.'


@pytest.fixture
def gone(pgtrigger: Run) -> DriftFinding:
    """A finding is open on a database that the settings had, and have no more."""
    gut()
    pgtrigger("check", "--record")
    pgtrigger("install", INVOICE)
    row = DriftFinding.objects.get(code="trigger_ops.C001")
    DriftFinding.objects.filter(pk=row.pk).update(database="gone")
    pgtrigger("check", "--record", "past.Customer")  # with a selector: it ends nothing
    row.refresh_from_db()
    assert (row.database, row.resolved) == ("gone", None)
    return row


def test_a_finding_of_a_database_that_is_gone_counts_for_nothing(
    gone: DriftFinding, pgtrigger: Run
) -> None:
    result = pgtrigger("check", "--max-age", "15m")
    assert (result.code, "C001" in result.out) == (0, False)
    assert "gone" not in pgtrigger("allow", "list").out
    refused = pgtrigger("allow", "add", str(gone.pk), "--for", "7d", *REASON)
    assert "No open finding has the number" in refused.err


@pytest.mark.parametrize("words", [(), ("-d", "archive")])
def test_the_next_recorded_run_ends_it_and_tells_nobody(
    words: tuple[str, ...],
    gone: DriftFinding,
    pgtrigger: Run,
    settings: Any,
    mailoutbox: list[Any],
) -> None:
    settings.TRIGGER_OPS = {"NOTIFY": [TEAM]}
    assert pgtrigger("check", "--notify", *words).code == 0
    gone.refresh_from_db()
    assert gone.resolved is not None
    event = gone.events.latest("pk")
    assert (event.kind, event.message) == ("resolved", WHY)
    assert event.run == DriftRun.objects.latest("began").pk
    assert mailoutbox == []


def test_a_run_of_a_queue_ends_it_too(gone: DriftFinding) -> None:
    begun = scheduling.begin_run(None, Scope(), source="celery", holder="worker@host")
    gone.refresh_from_db()
    assert gone.resolved is not None
    assert gone.events.latest("pk").run == begun.run_id


# check --notify ----------------------------------------------------------------------------------

TEAM = {"name": "team", "backend": "email", "level": "ERROR", "to": ["db@example.com"]}


def test_people_are_told_once_and_once_more_when_it_is_mended(
    pgtrigger: Run, settings: Any, mailoutbox: list[Any]
) -> None:
    settings.TRIGGER_OPS = {"NOTIFY": [TEAM]}
    check = ("check", "--notify", "-d", "default")
    assert pgtrigger(*check).code == 0
    assert mailoutbox == []
    gut()
    assert [pgtrigger(*check).code, pgtrigger(*check).code] == [1, 1]
    (mail,) = mailoutbox
    for words in (f"CRITICAL trigger_ops.C001 {INVOICE}", conf.runbook("C001")):
        assert words in f"{mail.subject}\n{mail.body}"
    assert f"manage.py pgtrigger install {INVOICE}" in mail.body
    pgtrigger("install", INVOICE)
    assert [pgtrigger(*check).code, pgtrigger(*check).code] == [0, 0]
    assert len(mailoutbox) == 2
    assert "resolved" in mailoutbox[1].subject


def test_who_cannot_be_told_is_named_and_the_findings_count_for_more(
    pgtrigger: Run, settings: Any
) -> None:
    pager = {"name": "pager", "backend": "webhook", "url": "http://127.0.0.1:9/secret-path"}
    settings.TRIGGER_OPS = {"NOTIFY": [pager]}
    gut()
    result = pgtrigger("check", "--notify", "-d", "default")
    assert result.code == 1
    assert "pager was not told: " in result.err
    assert "secret-path" not in result.err
    pgtrigger("install", INVOICE)
    assert pgtrigger("check", "--notify", "-d", "default").code == 3


# allow -------------------------------------------------------------------------------------------


def test_an_allowed_finding_is_shown_and_does_not_fail(gutted: Result, pgtrigger: Run) -> None:
    assert gutted.code == 1
    result = pgtrigger(*ALLOWED, "--owner", "ann")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Allowance {Allowance.objects.get().pk}: ann answers for ")
    after = pgtrigger("check", "-d", "default")
    assert after.code == 0
    assert "CRITICAL trigger_ops.C001" in after.out
    assert "by ann: mended with the release on Friday" in after.out
    pgtrigger("check", "--record", "-d", "default")
    assert pgtrigger("check", "--max-age", "1h", "-d", "default").code == 0


def test_it_comes_back_by_itself(gutted: Result, pgtrigger: Run) -> None:
    pgtrigger(*ALLOWED)
    pgtrigger("check", "--record", "-d", "default")
    Allowance.objects.update(expires=F("expires") - dt.timedelta(days=8))
    assert pgtrigger("check", "--record", "-d", "default").code == 1
    assert kinds() == ["opened", "allowed", "returned"]
    assert "over since" in pgtrigger("allow", "list", "--all").out


def test_another_change_is_not_allowed(gutted: Result, pgtrigger: Run) -> None:
    pgtrigger(*ALLOWED)
    pgtrigger("check", "--record", "-d", "default")
    damage.gut("pgtrigger_protect_deletes_4ee25", returning="NULL")
    assert pgtrigger("check", "--record", "-d", "default").code == 1
    assert kinds() == ["opened", "allowed", "changed"]


def test_it_can_be_ended(gutted: Result, pgtrigger: Run) -> None:
    pgtrigger(*ALLOWED)
    number = str(Allowance.objects.get().pk)
    assert pgtrigger("allow", "expire", number).out.startswith(f"Allowance {number} is over")
    assert pgtrigger("check", INVOICE, "-d", "default").code == 1
    again = pgtrigger("allow", "expire", number)
    assert again.code == 2
    assert "manage.py pgtrigger allow list shows those there are." in again.err
    assert "ended" in pgtrigger("allow", "list", "--all").out


def test_the_list_names_what_nobody_answers_for(gutted: Result, pgtrigger: Run) -> None:
    finding = api.open_findings()[0]
    line = f"{finding.id} CRITICAL trigger_ops.C001 {INVOICE} (default public.past_invoice)"
    before = pgtrigger("allow", "list", "-d", "default")
    assert before.out.startswith("Nobody answers for any finding.\n")
    assert line in before.out.splitlines()
    made = pgtrigger("allow", "add", str(finding.id), "--for", "1h", *REASON, "--format", "json")
    (allowance,) = made.document["allowances"]
    assert (allowance["finding"], allowance["uri"]) == ("trigger_ops.C001", INVOICE)
    for _ in range(2):  # at once, and after the next check
        after = pgtrigger("allow", "list")
        assert line not in after.out.splitlines()
        assert f"trigger_ops.C001 {INVOICE} (default) until " in after.out
        pgtrigger("check", "--record", "-d", "default")
    Allowance.objects.update(expires=F("expires") - dt.timedelta(days=8))
    assert line in pgtrigger("allow", "list").out.splitlines()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("add", "C001", *REASON), 2, "An allowance needs --for: say how long"),
        (("add", "C001", "--for", "7d"), 2, "An allowance needs --reason: say why"),
        (("add", "C001", "--for", "7d", "--reason", "ok"), 4, "An allowance takes a reason of at"),
        (("add", "C001", "--for", "never", *REASON), 2, '"never" is no duration'),
        (("add", "C009", "--for", "7d", *REASON), 2, "No open finding has the ID C009: did you"),
        (("add", "999999", "--for", "7d", *REASON), 2, "No open finding has the number 999999"),
        (
            ("add", "C001", "past.Invoce:x", "--for", "7d", *REASON),
            2,
            'No open C001 is about "past',
        ),
        (("add", "I004", "--for", "7d", *REASON), 2, "open findings are I004: name one by its"),
        (("add", "C001", "--for", "7d", *REASON, "--owner", " "), 2, "--owner is empty"),
        (("expire", "one"), 2, '"one" is no number'),
        (
            ("add", "C001", "-d", "arcive", "--for", "7d", *REASON),
            2,
            'no alias "arcive": did you mean "archive"?',
        ),
        (("list", "-d", "arcive"), 2, 'no alias "arcive": did you mean "archive"?'),
    ],
)
def test_what_is_allowed_wrongly_is_one_sentence(
    words: tuple[str, ...], code: int, sentence: str, gutted: Result, pgtrigger: Run
) -> None:
    result = pgtrigger("allow", *words)
    assert (result.code, result.out) == (code, "")
    assert sentence in result.err
    assert not Allowance.objects.exists()


# drift prune -------------------------------------------------------------------------------------


def test_what_is_long_over_is_let_go_and_the_last_complete_run_stays(
    gutted: Result, pgtrigger: Run
) -> None:
    pgtrigger("install", INVOICE)
    pgtrigger("check", "--record", "-d", "default")
    age(dt.timedelta(days=100))
    still_open = DriftFinding.objects.filter(resolved=None).count()
    result = pgtrigger("drift", "prune", "--older-than", "90d")
    assert (result.code, result.out) == (
        0,
        "Deleted 1 run and 1 resolved finding older than 90d.\n",
    )
    assert DriftRun.objects.count() == 1
    assert DriftFinding.objects.count() == still_open
    assert pgtrigger("check", "--max-age", "365d", "-d", "default").code == 0


@pytest.mark.parametrize("words", [(), ("--older-than", ""), ("--older-than", "old")])
def test_how_old_has_to_be_said(words: tuple[str, ...], pgtrigger: Run) -> None:
    result = pgtrigger("drift", "prune", *words)
    assert (result.code, result.out) == (2, "")
