"""How every verb of ours ends: the code, one sentence on stderr, clean stdout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from tests.damage import make_role, run
from tests.management.conftest import Result, Site
from trigger_ops import api
from trigger_ops.exceptions import (
    BadDuration,
    BadSettings,
    Busy,
    DatabaseUnreadable,
    Refused,
    StalePlan,
    TriggerOpsError,
    UnknownSelector,
)
from trigger_ops.models import CanonicalForm

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db(databases=["default", "archive"])

VERBS = ("ls", "diff", "check")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("past.Reciept",),
            'No registered trigger matches "past.Reciept": did you mean "past.Receipt"?',
        ),
        (
            ("past.receipt:append_only",),
            (
                'No registered trigger matches "past.receipt:append_only": '
                'did you mean "past.Receipt:append_only"?'
            ),
        ),
        (
            ("-d", "defualt"),
            'settings.DATABASES has no alias "defualt": did you mean "default"?',
        ),
        (
            ("-d", "default", "-s", "publik"),
            'Database "default" has no schema "publik": did you mean "public"?',
        ),
        (
            ("--all-databases", "--schema-glob", "publik*"),
            'No schema matches "publik*": did you mean "public"?',
        ),
        (
            ("past.Invoice\x1b[2J",),
            ('No registered trigger matches "past.Invoice\\x1b[2J": did you mean "past.Invoice"?'),
        ),
    ],
)
def test_a_typo_gets_the_nearest_match(
    verb: str, arguments: tuple[str, ...], sentence: str, pgtrigger: Run
) -> None:
    assert pgtrigger(verb, *arguments) == Result(2, "", f"{sentence}\n")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (BadSettings("ENABLED is wrong."), 2, "ENABLED is wrong."),
        (DatabaseUnreadable("It is down."), 5, "It is down."),
        (TriggerOpsError("No."), 4, "No."),
        (ImproperlyConfigured("No pool is installed."), 2, "No pool is installed."),
        (
            ZeroDivisionError("division by zero\nand more"),
            70,
            (
                "Internal error, ZeroDivisionError: division by zero. "
                "Run it again with --traceback and report what it prints."
            ),
        ),
    ],
)
def test_an_error_is_one_sentence(
    verb: str,
    error: Exception,
    code: int,
    sentence: str,
    pgtrigger: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(api, "survey", fail)
    monkeypatch.setattr(api, "check", fail)
    assert pgtrigger(verb) == Result(code, "", f"{sentence}\n")


@pytest.mark.parametrize("verb", VERBS)
def test_an_empty_glob_is_no_way_to_look_at_nothing(verb: str, pgtrigger: Run) -> None:
    result = pgtrigger(verb, "-d", "default", "--schema-glob", "")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith('No schema matches "": there are: ')


def test_what_cannot_be_recorded_is_printed_and_incomplete(pgtrigger: Run) -> None:
    CanonicalForm.objects.all().delete()
    role = make_role("reader")
    run("SET LOCAL ROLE {role}", role=role)
    with transaction.atomic():
        result = pgtrigger("check", "tutorial", "-d", "default", "--record")
    run("RESET ROLE")
    assert result.code == 3
    assert result.out.endswith(" and the run could not be recorded.\n")
    assert "permission denied for table trigger_ops_" in result.err, result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        (3, "TRIGGER_OPS must be a dict, not of type int"),
        ({"ENABLED": {5: "always"}}, 'TRIGGER_OPS["ENABLED"] has the selector 5, not a text'),
        ({"ENABLED": {"past": "maybe"}}, "must be one of enabled, disabled, replica, always"),
        ({"LOCK_TIMEOUT": -1}, "must be from 0 to 2147483647, not -1"),
        ({"STATEMENT_TIMEOUT": 2**31}, "must be from 0 to 2147483647, not 2147483648"),
        ({"RECORD_DATABASE": "nope"}, 'TRIGGER_OPS["RECORD_DATABASE"] is "nope"'),
    ],
)
def test_bad_settings_are_usage_even_where_nobody_ran_the_system_checks(
    verb: str, declared: object, sentence: str, pgtrigger: Run, settings: Any
) -> None:
    settings.TRIGGER_OPS = declared
    result = pgtrigger(verb, "past.Customer", "-d", "default")
    assert (result.code, result.out) == (2, "")
    assert sentence in result.err


def test_colours_cannot_be_wanted_and_unwanted(site: Site) -> None:
    result = site.manage("pgtrigger", "ls", "--no-color", "--force-color")
    assert (result.code, result.out) == (2, "")


ALWAYS = {"ENABLED": {"past.Customer": "always"}}


@pytest.mark.parametrize(
    ("arguments", "asked", "code", "out", "err"),
    [
        (
            ("ls", "past.Customer"),
            {},
            0,
            "INSTALLED ENABLED past.Customer:read_only_email\n",
            "",
        ),
        (
            ("ls", "past.Customer", "--check"),
            {"declared": ALWAYS},
            1,
            "INSTALLED ENABLED past.Customer:read_only_email\n",
            "1 of 1 trigger differs from the code.\n",
        ),
        (
            ("ls", "past.Customer", "--check", "-v0"),
            {"declared": ALWAYS},
            1,
            "INSTALLED ENABLED past.Customer:read_only_email\n",
            "",
        ),
        (
            ("diff", "past.Customer", "--check"),
            {"declared": ALWAYS},
            1,
            (
                "--- registered past.Customer:read_only_email\n"
                "+++ installed past.Customer:read_only_email (default public.past_customer)\n"
                "@@ -1 +1 @@ enabled\n-enabled: ALWAYS\n+enabled: ENABLED\n"
            ),
            "1 of 1 trigger differs from the code.\n",
        ),
        (
            ("ls", "past.Custmer"),
            {},
            2,
            "",
            (
                'CommandError: No registered trigger matches "past.Custmer": '
                'did you mean "past.Customer"?\n'
            ),
        ),
        (
            ("check", "past.Customer", "-d", "default"),
            {"declared": {"ENABLED": 3}},
            2,
            "",
            None,
        ),
        (("check", "--fail-level", "nope"), {}, 2, "", None),
    ],
)
def test_a_process_ends_with_the_code(
    arguments: tuple[str, ...],
    asked: dict[str, object],
    code: int,
    out: str,
    err: str | None,
    site: Site,
) -> None:
    result = site.manage("pgtrigger", *arguments, **asked)
    assert (result.code, result.out) == (code, out)
    assert "Traceback" not in result.err
    assert err is None or result.err == err


def test_a_database_that_is_down_is_never_green(site: Site) -> None:
    result = site.manage(
        "pgtrigger", "check", "past.Customer", "-d", "default", "-d", "down", down=True
    )
    assert result.code == 3
    assert result.out.splitlines()[-1] == (
        "Nothing at WARNING or above among 1 trigger on 1 database. "
        "Incomplete: 1 database could not be read."
    )
    assert result.out.startswith('UNKNOWN "down" could not be read: ')
    assert result.err.startswith('"down" could not be read: ')
    assert "Traceback" not in result.err


def test_findings_win_over_what_could_not_be_read(site: Site) -> None:
    result = site.manage(
        *("pgtrigger", "check", "past.Customer", "-d", "default", "-d", "down"),
        *("--format", "json"),
        down=True,
        declared=ALWAYS,
    )
    assert result.code == result.document["exit_code"] == 1
    assert result.document["complete"] is False


def test_ls_lists_what_it_could_not_read_as_unknown(site: Site) -> None:
    result = site.manage("pgtrigger", "ls", "past.Customer", "-d", "down", down=True)
    assert result.out == "UNKNOWN N/A past.Customer:read_only_email\n"
    assert result.code == 3


def test_traceback_prints_one_and_keeps_the_code(site: Site) -> None:
    result = site.manage("pgtrigger", "ls", "nope", "--traceback")
    assert result.code == 2
    assert result.err.startswith("Traceback (most recent call last):")


CHANGING = ("install", "uninstall", "enable", "disable", "prune", "plan")


@pytest.mark.parametrize("verb", CHANGING)
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadSettings("It is wrong."), 2),
        (UnknownSelector("Nobody knows it."), 2),
        (BadDuration("That is none."), 2),
        (StalePlan("It is stale."), 4),
        (Refused("No."), 4),
        (TriggerOpsError("No."), 4),
        (DatabaseUnreadable("It is down."), 5),
        (Busy("Somebody else is at work."), 5),
    ],
)
def test_whatever_stops_a_plan_is_one_sentence_and_its_code(
    verb: str, error: Exception, code: int, pgtrigger: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(api, "plan", fail)
    assert pgtrigger(verb) == Result(code, "", f"{error}\n")


@pytest.mark.parametrize(
    ("arguments", "asked", "code", "err"),
    [
        (("install",), {}, 0, "install: 59 unchanged, 1 skipped.\n"),
        (("install", "-v0"), {}, 0, ""),
        (("prune",), {}, 0, "prune: nothing done.\n"),
        (("disable", "past.Custmer"), {}, 2, 'did you mean "past.Customer"?\n'),
        (("disable", "--lock-timeout", "-5s"), {}, 2, "expected one argument\n"),
        (("disable", "--lock-timeout=-5s"), {}, 2, "15m, 2h or 1d.\n"),
        (("disable", "-d", "down"), {"down": True}, 5, None),
        (("log", "-d", "down"), {"down": True}, 5, None),
        (("plan", "-d", "down", "-d", "default"), {"down": True}, 5, None),
        (("prune", "past_invoice:nope"), {}, 2, "there are none.\n"),
        (("install", "--plan", "/nowhere"), {}, 2, "'/nowhere'.\n"),
        (("install", "--plan", "pyproject.toml"), {}, 4, "(--dry-run --out FILE).\n"),
    ],
)
def test_a_process_that_changes_triggers_ends_with_the_code(
    arguments: tuple[str, ...],
    asked: dict[str, object],
    code: int,
    err: str | None,
    site: Site,
) -> None:
    result = site.manage("pgtrigger", *arguments, **asked)
    assert (result.code, result.out) == (code, "")
    assert "Traceback" not in result.err
    assert err is None or result.err.endswith(err)
    assert bool(result.err) == (err != "")


def test_a_role_that_starts_read_only_is_refused_before_anything_is_tried(site: Site) -> None:
    result = site.manage(
        *("pgtrigger", "disable", "past.Invoice"),
        environment={"PGOPTIONS": "-c default_transaction_read_only=on"},
    )
    assert (result.code, result.out) == (4, "")
    assert "starts transactions READ ONLY: run this against the primary" in result.err
