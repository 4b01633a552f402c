"""The documentation says what the code does: IDs, settings, options, JSON, links, SQL."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.test_readme import SHIPPED
from trigger_ops import api, checks, conf
from trigger_ops.drift.ids import KINDS
from trigger_ops.management.commands.pgtrigger import Command
from trigger_ops.models import Allowance
from trigger_ops.states import Enabled, ExitCode, Hazard, Level, Result, Status, Verb, Verdict

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
SECTIONS = ["What it means", "How it comes about", "What to do", "When it is not drift"]
CHANGING = tuple(verb.value for verb in Verb if " " not in verb.value)
READING = ("ls", "diff", "check", "plan", "log")
GROUPS = ("guard", "session", "allow", "drift")
OURS = (*READING, *CHANGING, *GROUPS, "notify")

#: What the demo site's own tables give already, without any damage.
BY_ITSELF = ("I004", "I005", "I008")
#: What no SQL on the demo site can show, and the test that shows it.
SHOWN_ELSEWHERE = {
    "E004": "test_a_trigger_that_cannot_be_compiled_is_one_finding",
    "W004": "test_without_the_right_to_make_temporary_tables_conditions_are_unknown",
}


def read(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def section(text: str, title: str, *, level: int = 2) -> str:
    """Return what stands under a heading, up to the next one of its level."""
    mark = "#" * level
    found = re.search(rf"^{mark} {re.escape(title)}\n(.*?)(?=^{mark} |\Z)", text, re.M | re.S)
    assert found, f"there is no section {title}"
    return found[1]


def first_cells(text: str) -> list[str]:
    """Return the first cell of every row of the tables in a text, headings left out."""
    tables = re.findall(r"^\|[^\n]*\|\n\|(?:-+\|)+\n((?:\|[^\n]*\|\n?)+)", text, re.M)
    return [row.split("|")[1].strip() for table in tables for row in table.splitlines()]


def fences(text: str) -> Iterator[tuple[str, str]]:
    """Yield (language, text) of each fenced block that is not indented."""
    yield from re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)


def commands(text: str) -> list[str]:
    """Return the commands typed in the console sessions of a text."""
    return [
        line.removeprefix("$ ").partition(";")[0].strip()
        for language, block in fences(text)
        if language == "console"
        for line in block.splitlines()
        if line.startswith("$ ")
    ]


# Findings ----------------------------------------------------------------------------------------


def test_there_is_a_page_for_every_finding_and_no_other() -> None:
    assert {page.stem for page in (DOCS / "findings").glob("*.md")} == set(KINDS)


@pytest.mark.parametrize("code", KINDS)
def test_a_finding_has_its_title_and_its_sections(code: str) -> None:
    text = read(f"findings/{code}.md")
    kind = KINDS[code]
    assert text.splitlines()[0] == f"# {kind.id} · {kind.level.name} · {kind.title}"
    assert re.findall(r"^## (.+)$", text, re.M) == SECTIONS
    assert "manage.py pgtrigger" in section(text, "What to do")


def test_the_index_lists_every_finding_in_order() -> None:
    rows = re.findall(
        r"^\| \[(\w+)\]\(findings/(\w+)\.md\) \| (\w+) \| (.+) \|$", read("findings.md"), re.M
    )
    assert rows == [(code, code, kind.level.name, kind.title) for code, kind in KINDS.items()]
    assert set(first_cells(section(read("findings.md"), "Levels"))) == {one.name for one in Level}


def found(code: str) -> Counter[tuple[str | None, ...]]:
    """Return the findings of one ID on the default database, by what they are about."""
    report = api.check(databases=["default"])
    return Counter(
        (one.uri, one.schema, one.table, one.trigger, one.message)
        for one in report.findings
        if one.id == KINDS[code].id
    )


def follow(text: str) -> None:
    """Do what a section says: run its SQL and those of its commands that change something."""
    for language, block in fences(text):
        if language == "sql":
            with connection.cursor() as cursor:
                cursor.execute(block)
        for command in commands(f"```{language}\n{block}```\n"):
            words = shlex.split(command)
            if words[1] == "migrate":
                call_command(*words[1:], verbosity=0)
            elif words[1] == "pgtrigger" and words[2] not in READING:
                call_command(*words[1:], "--no-input", verbosity=0)


@pytest.mark.django_db
@pytest.mark.parametrize("code", [one for one in KINDS if one not in SHOWN_ELSEWHERE])
def test_what_a_page_says_causes_its_finding_and_ends_it(code: str) -> None:
    text = read(f"findings/{code}.md")
    before = found(code)
    assert bool(before) == (code in BY_ITSELF)
    follow(section(text, "How it comes about"))
    damaged = found(code)
    assert damaged > before or (code in BY_ITSELF and damaged == before)
    follow(section(text, "What to do"))
    repaired = found(code)
    assert repaired < damaged if code in BY_ITSELF else repaired == before


@pytest.mark.parametrize("code", SHOWN_ELSEWHERE)
def test_what_no_sql_shows_has_a_test_of_its_own(code: str) -> None:
    tests = "".join(one.read_text() for one in (ROOT / "tests" / "weaknesses").glob("test_*.py"))
    body = re.search(rf"^def {SHOWN_ELSEWHERE[code]}\(.*?(?=^def |\Z)", tests, re.M | re.S)
    assert body
    assert f'"{code}"' in body[0].replace("trigger_ops.", "")


@pytest.mark.django_db
def test_what_the_index_says_of_living_with_a_finding_is_so() -> None:
    """The verb it names does what it says: the check passes, until the allowance is ended."""
    text = section(read("findings.md"), "Living with a finding")
    follow(section(read("findings/C001.md"), "How it comes about"))
    codes = []
    for command in commands(text):
        words = shlex.split(command)[1:]
        if words[-2:-1] == ["expire"]:
            codes.append(code_of("pgtrigger", "check", "past", "-d", "default"))
            words[-1] = str(Allowance.objects.get().pk)
        codes.append(code_of(*words, *(["-d", "default"] if words[1] == "check" else [])))
    codes.append(code_of("pgtrigger", "check", "past", "-d", "default"))
    # The check finds it, it is allowed and listed, the check passes, it is ended, the check fails.
    assert codes == [1, 0, 0, 0, 0, 1]


def code_of(*command: str) -> int:
    """Run a command; return its exit code."""
    try:
        call_command(*command, stdout=io.StringIO(), stderr=io.StringIO())
    except CommandError as error:
        return error.returncode
    return 0


# Settings, exit codes, words ----------------------------------------------------------------------


def test_every_setting_is_described_with_its_type_and_default_and_no_other() -> None:
    text = read("settings.md")
    assert re.findall(r"^## `(\w+)`$", text, re.M) == list(conf.DEFAULTS)
    for key, default in conf.DEFAULTS.items():
        head = section(text, f"`{key}`").strip().partition("\n")[0]
        described = re.match(r"Type: (\w+)\b.* Default: `([^`]+)`\.", head)
        assert described, head
        written = described[2].replace('"', "'").replace("_", "")
        assert (described[1], written) == (type(default).__name__, repr(default))


def test_every_mode_that_can_be_declared_is_described() -> None:
    cells = first_cells(section(read("settings.md"), "`ENABLED`"))
    assert {cell.strip("`") for cell in cells} == set(conf.MODES)


def test_the_exit_codes_are_those_of_the_code() -> None:
    rows = re.findall(
        r"^\| (\d+) \| (\w+) \| \S", section(read("commands.md"), "Exit codes"), re.M
    )
    assert rows == [(str(int(code)), code.name) for code in ExitCode]


def test_every_status_and_mode_is_explained() -> None:
    cells = {cell.strip("`") for cell in first_cells(section(read("commands.md"), "ls"))}
    assert {cell for cell in cells if not cell.startswith("-")} == {*Status, *Enabled}


def test_every_verdict_has_its_row() -> None:
    text = section(read("architecture.md"), "The three-way verdict")
    rows = [row.split("|") for row in text.splitlines() if row.startswith("|")][2:]
    assert {row[2].strip() for row in rows} == set(Verdict)
    assert {row[3].strip(" `") for row in rows} == set(Status)
    assert set(re.findall(r"\b[CEWI]\d{3}\b", text)) <= set(KINDS)


def test_the_layers_are_those_that_import_linter_holds() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = [one["layers"] for one in contracts["contracts"] if one["type"] == "layers"]
    text = section(read("architecture.md"), "Layers")
    assert next(fences(text))[1].splitlines() == layers
    named = [name for layer in layers for name in layer.split(" | ")]
    assert [cell.strip("`") for cell in first_cells(text)] == named


def test_the_system_checks_are_those_of_the_code() -> None:
    ids = [row for row in first_cells(read("commands.md")) if re.fullmatch(r"S\d{3}", row)]
    assert ids == re.findall(r"^\| (S\d{3}) \|", checks.__doc__ or "", re.M)
    levels = re.findall(r"^\| S\d{3} \| (\w+) \|", read("commands.md"), re.M)
    assert levels == re.findall(r"^\| S\d{3} \| (\w+) +\|", checks.__doc__ or "", re.M)


# Commands -----------------------------------------------------------------------------------------


def parser() -> Any:
    return Command().create_parser("manage.py", "pgtrigger")


def verb_parsers() -> dict[str, Any]:
    (verbs,) = [action for action in parser()._actions if isinstance(action.choices, dict)]
    return dict(verbs.choices)


def inner_parsers(verb: str) -> dict[str, Any]:
    """Return the parsers of what stands behind a verb of several."""
    parser = verb_parsers()[verb]
    (inner,) = [one for one in parser._actions if isinstance(one.choices, dict)]
    return dict(inner.choices)


def options_of(verb: str) -> set[str]:
    """Return every option of a verb, or of all that stands behind it."""
    parsers = inner_parsers(verb).values() if verb in GROUPS else [verb_parsers()[verb]]
    return {name for one in parsers for action in one._actions for name in action.option_strings}


SHOWN = sorted(
    {
        (page.relative_to(ROOT).as_posix(), command)
        for page in PAGES
        for text in [page.read_text(encoding="utf-8")]
        for command in [*commands(text), *re.findall(r"`(manage\.py [^`]+)`", text)]
        if command.startswith("manage.py pgtrigger ") and "VERB" not in command
    }
)


def test_commands_are_shown_at_all() -> None:
    assert {shlex.split(command)[2] for _, command in SHOWN} == set(OURS)


@pytest.mark.parametrize(("page", "command"), SHOWN)
def test_every_command_that_is_shown_can_be_parsed(page: str, command: str) -> None:
    try:
        parser().parse_args(shlex.split(command, comments=True)[2:])
    except CommandError as error:
        pytest.fail(f"{page}: {command}: {error}")


def test_every_verb_has_its_section() -> None:
    assert list(verb_parsers()) == [*READING[:-1], *CHANGING, *GROUPS, "notify", "log"]
    text = read("commands.md")
    linked = re.findall(r"\[`(\w+)`\]\(#(\w+)\)", section(text, "The verbs"))
    assert linked == [(verb, verb) for verb in verb_parsers()]


def parts(verb: str) -> Iterator[str]:
    """Yield the sections that describe the options of a verb."""
    yield "Options of every verb"
    if verb not in ("log", "notify", *GROUPS):
        yield "Schemas"
    if verb in CHANGING:
        yield "Changing triggers"
    yield verb


#: Options of every verb that these do without.
BEYOND = {
    "session": {"--all-databases"},
    "allow": {"--all-databases"},
    "drift": {"--all-databases", "--database", "-d"},
    "notify": {"--all-databases", "--database", "-d"},
}


@pytest.mark.parametrize("verb", OURS)
def test_every_option_is_described_and_no_other(verb: str) -> None:
    text = read("commands.md")
    rows = [
        row.split(" | ")[0]
        for part in parts(verb)
        for row in section(text, part).splitlines()
        if row.startswith("| `-")
    ]
    shown = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", "\n".join(rows)))
    beyond = BEYOND.get(verb, set())
    assert shown - beyond == options_of(verb)


@pytest.mark.parametrize("verb", GROUPS)
def test_everything_behind_a_verb_is_described(verb: str) -> None:
    text = section(read("commands.md"), verb)
    for name in inner_parsers(verb):
        assert re.search(rf"`(?:{verb} )?{name}`", text), name


@pytest.mark.parametrize("verb", READING)
def test_the_formats_are_those_that_can_be_asked_for(verb: str) -> None:
    (shown,) = re.findall(r"--format ([a-z\\|]+)`", section(read("commands.md"), verb))
    (action,) = [one for one in verb_parsers()[verb]._actions if one.dest == "format"]
    assert shown.split("\\|") == list(action.choices)


def test_every_result_is_explained() -> None:
    text = section(read("commands.md"), "Changing triggers")
    cells = first_cells(text.partition("### Hazards")[0])
    assert {cell.strip("`") for cell in cells if not cell.startswith("`-")} == set(Result)


def test_every_hazard_has_its_section_and_its_row() -> None:
    text = read("hazards.md")
    assert re.findall(r"^## `(\w+)`$", text, re.M) == list(Hazard)
    rows = re.findall(r"^\| \[`(\w+)`\]\(#(\w+)\) \|", text, re.M)
    assert rows == [(hazard, hazard.lower()) for hazard in Hazard]


def shape(value: object) -> object:
    """Return the keys of a document and the types of its leaves."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


@pytest.mark.django_db
@pytest.mark.parametrize("verb", READING)
def test_the_json_shown_is_the_json_printed(verb: str) -> None:
    follow(section(read("findings/C001.md"), "How it comes about"))
    follow(section(read("findings/W001.md"), "How it comes about"))
    text = section(read("commands.md"), verb)
    (shown,) = [json.loads(block) for language, block in fences(text) if language == "json"]
    (command,) = [one for one in commands(text) if "json" in one]
    if verb == "log":
        follow(section(read("findings/C001.md"), "What to do"))
    printed = io.StringIO()
    with contextlib.suppress(CommandError):  # the exit code, which the document has too
        call_command(*shlex.split(command)[1:], stdout=printed, stderr=io.StringIO())
    real = json.loads(printed.getvalue())
    assert shape(real) == shape(shown)
    for key in ("schema", "complete", "exit_code", "verb", "request"):
        assert real.get(key) == shown.get(key)
    for one in real.get("findings", []):
        # The page names the file where a wheel puts it.
        code = one["id"].removeprefix("trigger_ops.")
        assert one["runbook"] == str(DOCS / "findings" / f"{code}.md")
        one["runbook"] = f"{SHIPPED}{code}.md"
    for key in ("triggers", "findings"):
        assert real.get(key, [])[:1] == shown.get(key, [])


# Links --------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link
