"""The parser: the library's verbs as they are, ours beside them, general options anywhere."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import CommandParser
from pgtrigger.management.commands.pgtrigger import Command as StockCommand

from trigger_ops.inspection import Scope
from trigger_ops.management.commands.pgtrigger import Command
from trigger_ops.management.subcommands.options import databases_of, scope_of

STOCK_VERBS = ("install", "uninstall", "enable", "disable", "prune")
GENERAL = {
    "verbosity",
    "settings",
    "pythonpath",
    "traceback",
    "no_color",
    "force_color",
    "skip_checks",
}


def parse(*arguments: str) -> dict[str, Any]:
    return vars(Command().create_parser("manage.py", "pgtrigger").parse_args(arguments))


def verbs(command: StockCommand) -> dict[str, CommandParser]:
    parser = command.create_parser("manage.py", "pgtrigger")
    (subparsers,) = [action for action in parser._actions if action.dest == "==SUPPRESS=="]
    return dict(subparsers.choices)  # type: ignore[arg-type]  # argparse types its choices too widely


def arguments_of(parser: CommandParser) -> set[tuple[Any, ...]]:
    return {
        (action.dest, tuple(action.option_strings), action.nargs, action.default)
        for action in parser._actions
    }


@pytest.mark.parametrize("verb", STOCK_VERBS)
def test_a_stock_verb_takes_all_its_stock_arguments(verb: str) -> None:
    ours, stock = arguments_of(verbs(Command())[verb]), arguments_of(verbs(StockCommand())[verb])
    assert stock <= ours
    assert {dest for dest, *_ in ours - stock} >= GENERAL


def test_every_stock_verb_is_there() -> None:
    assert set(verbs(StockCommand())) <= set(verbs(Command()))
    assert set(verbs(StockCommand())) == {*STOCK_VERBS, "ls"}


@pytest.mark.parametrize("verb", [*STOCK_VERBS, "ls"])
def test_no_verb_runs_the_librarys_own_method(verb: str) -> None:
    method = parse(verb)["method"]
    assert method.func.__name__ == "_run"


@pytest.mark.parametrize(
    ("arguments", "option", "value"),
    [
        (("-v", "0", "ls"), "verbosity", 0),
        (("ls", "-v", "0"), "verbosity", 0),
        (("ls", "-v0"), "verbosity", 0),
        (("-v", "3", "ls"), "verbosity", 3),
        (("ls",), "verbosity", 1),
        (("install", "-v0"), "verbosity", 0),
        (("--no-color", "ls"), "no_color", True),
        (("ls", "--no-color"), "no_color", True),
        (("ls",), "no_color", False),
        (("--force-color", "check"), "force_color", True),
        (("check", "--force-color"), "force_color", True),
        (("--traceback", "diff"), "traceback", True),
        (("diff", "--traceback"), "traceback", True),
        (("--skip-checks", "diff"), "skip_checks", True),
        (("diff", "--skip-checks"), "skip_checks", True),
    ],
)
def test_a_general_option_counts_before_and_after_the_verb(
    arguments: tuple[str, ...], option: str, value: object
) -> None:
    assert parse(*arguments)[option] == value


@pytest.mark.parametrize(
    ("arguments", "databases"),
    [
        (("ls",), None),
        (("ls", "-d", "a"), ["a"]),
        (("ls", "-d", "a", "--database", "b"), ["a", "b"]),
        (("check", "-d", "a", "-d", "b"), ["a", "b"]),
    ],
)
def test_a_database_can_be_given_again(
    arguments: tuple[str, ...], databases: list[str] | None
) -> None:
    assert databases_of(parse(*arguments)) == databases


def test_a_database_that_is_named_twice_is_looked_at_once() -> None:
    assert databases_of(parse("ls", "-d", "b", "-d", "a", "-d", "b")) == ["b", "a"]


def test_call_command_may_give_one_database_as_a_text() -> None:
    assert databases_of({"database": "a"}) == ["a"]


@pytest.mark.parametrize(
    ("arguments", "scope"),
    [
        (("ls",), Scope()),
        (("ls", "-s", "a"), Scope(path=("a",))),
        (("ls", "-s", "a", "--schema", "b"), Scope(path=("a", "b"))),
        (("diff", "--all-schemas"), Scope(glob="*")),
        (("check", "--schema-glob", "tenant_*"), Scope(glob="tenant_*")),
    ],
)
def test_schemas_are_a_path_or_a_glob(arguments: tuple[str, ...], scope: Scope) -> None:
    assert scope_of(parse(*arguments)) == scope


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nope",),
        ("ls", "--nope"),
        ("ls", "--format", "junit"),
        ("ls", "--status", "nope"),
        ("ls", "-d", "a", "--all-databases"),
        ("ls", "-s", "a", "--all-schemas"),
        ("check", "--fail-level", "nope"),
        ("check", "--schema-glob", "x", "--all-schemas"),
    ],
)
def test_what_cannot_be_parsed_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        parse(*arguments)


@pytest.mark.parametrize(
    ("verb", "options", "told"),
    [
        ("ls", {"format": "junit"}, '"junit" is not a value of --format: choose from text, '),
        ("ls", {"status": "nope"}, '"NOPE" is not a value of --status: choose from INSTALLED, '),
        ("diff", {"format": "csv"}, '"csv" is not a value of --format: choose from text, json.'),
        ("check", {"format": "csv"}, '"csv" is not a value of --format: choose from text, '),
        ("check", {"fail_level": "x"}, '"X" is not a value of --fail-level: choose from CRITICAL'),
    ],
)
def test_a_wrong_value_given_to_call_command_is_a_usage_error(
    verb: str, options: dict[str, str], told: str
) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("pgtrigger", verb, **options)
    assert str(caught.value).startswith(told)
    assert caught.value.returncode == 2
