"""How every verb of ours ends: the code, one sentence on stderr, clean stdout."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.management.conftest import Result, Site
from trigger_ops import api
from trigger_ops.exceptions import BadSettings, DatabaseUnreadable, TriggerOpsError

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
        (DatabaseUnreadable("It is down."), 4, "It is down."),
        (TriggerOpsError("No."), 4, "No."),
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
