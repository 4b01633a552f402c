"""The verbs that change triggers, as somebody types them, calls them, or scripts them."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from pgtrigger import installation, registered, registry

from tests.damage import gut, pgid, run, within
from tests.management.conftest import Result, Site
from trigger_ops import api
from trigger_ops.inspection import Scope
from trigger_ops.management.subcommands import changes
from trigger_ops.models import LedgerEntry
from trigger_ops.planner import Request
from trigger_ops.states import Enabled, Hazard, Status, Verb

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db(databases=["default", "archive"])

INVOICE = "past.Invoice:protect_deletes"
CUSTOMER = "past.Customer:read_only_email"
ARCHIVED = "awkward.ArchivedDocument:append_only"


def mode_of(uri: str = INVOICE) -> Enabled:
    (one,) = api.inspect(uri)
    return one.enabled


def status_of(uri: str = INVOICE, using: str = "default") -> Status:
    (one,) = api.inspect(uri, using=using)
    return one.status


def entries() -> int:
    return LedgerEntry.objects.count()


# What is done, and what is said ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said", "status", "mode"),
    [
        (
            ("disable", INVOICE),
            f"switched {INVOICE} ENABLED to DISABLED\ndisable: 1 switched.\n",
            Status.INSTALLED,
            Enabled.DISABLED,
        ),
        (
            ("enable", INVOICE, "--always"),
            f"switched {INVOICE} ENABLED to ALWAYS\nenable: 1 switched.\n",
            Status.INSTALLED,
            Enabled.ALWAYS,
        ),
        (
            ("enable", INVOICE, "--replica"),
            f"switched {INVOICE} ENABLED to REPLICA\nenable: 1 switched.\n",
            Status.INSTALLED,
            Enabled.REPLICA,
        ),
        (("enable", INVOICE), "enable: 1 unchanged.\n", Status.INSTALLED, Enabled.ENABLED),
        (("install", INVOICE), "install: 1 unchanged.\n", Status.INSTALLED, Enabled.ENABLED),
        (
            ("uninstall", INVOICE),
            f"dropped {INVOICE} uninstall was asked for\nuninstall: 1 dropped.\n",
            Status.UNINSTALLED,
            Enabled.NOT_APPLICABLE,
        ),
        (("prune",), "prune: nothing done.\n", Status.INSTALLED, Enabled.ENABLED),
    ],
)
def test_a_verb_does_what_it_says_and_says_it_on_stderr(
    arguments: tuple[str, ...], said: str, status: Status, mode: Enabled, pgtrigger: Run
) -> None:
    assert pgtrigger(*arguments) == Result(0, "", said)
    assert status_of() is status
    assert mode_of() is mode


@pytest.mark.parametrize("verb", ["install", "uninstall", "enable", "disable"])
@pytest.mark.parametrize("verbosity", [0, 1, 2, 3])
def test_a5_the_verbosity_counts_and_no_line_is_said_twice(
    verb: str, verbosity: int, pgtrigger: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Stock adds a handler with each call, and does not know -v at all."""
    run("ALTER TABLE past_customer DISABLE TRIGGER ALL")
    handlers = list(installation.LOGGER.handlers), list(logging.getLogger("trigger_ops").handlers)
    for _ in range(3):
        result = pgtrigger(verb, "past.Customer", "past.Invoice", verbosity=verbosity)
        lines = result.err.splitlines()
        assert (result.code, result.out) == (0, "")
        assert len(lines) == len(set(lines))
        assert (verbosity == 0) == (not lines)
        assert verbosity < 2 or len(lines) == 3
    after = list(installation.LOGGER.handlers), list(logging.getLogger("trigger_ops").handlers)
    assert after == handlers


def test_a6_what_is_skipped_is_never_called_installed(pgtrigger: Run) -> None:
    """Stock logs "Installing …" for a database that is not PostgreSQL, and does nothing."""
    result = pgtrigger("install", "-d", "lite", INVOICE)
    assert (result.code, result.out) == (0, "")
    assert result.err == (
        f'skipped {INVOICE} "lite" is not PostgreSQL, so pgtrigger installs nothing there.\n'
        "install: 1 skipped.\n"
    )


def test_a_run_that_has_nothing_to_do_leaves_no_trace(pgtrigger: Run) -> None:
    before = entries()
    assert pgtrigger("install", "past").err == "install: 7 unchanged.\n"
    assert entries() == before


def test_the_reason_and_the_actor_are_in_the_ledger(
    pgtrigger: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The actor is who the process belongs to, whatever its environment says."""
    monkeypatch.setenv("LOGNAME", "somebody_else")
    monkeypatch.setenv("USER", "somebody_else")
    assert pgtrigger("disable", INVOICE, "--reason", "a correction, 100% sure").code == 0
    entry = LedgerEntry.objects.order_by("-id")[0]
    assert entry.reason == "a correction, 100% sure"
    assert entry.actor.startswith("os:")
    assert "somebody_else" not in entry.actor


# Databases and schemas -------------------------------------------------------------------------


def test_call_command_takes_a_database_as_a_text(pgtrigger: Run) -> None:
    assert pgtrigger("uninstall", ARCHIVED, database="archive").code == 0
    assert status_of(ARCHIVED, "archive") is Status.UNINSTALLED
    call_command("pgtrigger", "install", ARCHIVED, database="archive", verbosity=0)
    assert status_of(ARCHIVED, "archive") is Status.INSTALLED


def test_several_databases_are_changed_in_one_run(pgtrigger: Run) -> None:
    both = ("-d", "default", "-d", "archive")
    result = pgtrigger("uninstall", INVOICE, ARCHIVED, *both)
    assert result.code == 0
    assert "uninstall: 2 dropped" in result.err
    assert status_of() is status_of(ARCHIVED, "archive") is Status.UNINSTALLED
    assert pgtrigger("install", INVOICE, ARCHIVED, *both).code == 0
    assert status_of() is status_of(ARCHIVED, "archive") is Status.INSTALLED


def test_all_databases_makes_nothing_where_the_routers_allow_nothing(pgtrigger: Run) -> None:
    query = "SELECT proname::text FROM pg_proc WHERE proname ~ 'pgtrigger' ORDER BY proname"
    before = run(query, using="archive")
    run("DROP TRIGGER {name} ON past_invoice", name=pgid(INVOICE))
    result = pgtrigger("install", "--all-databases", verbosity=0)
    assert result == Result(0, "", "")
    assert status_of() is Status.INSTALLED
    assert run(query, using="archive") == before
    assert pgtrigger("uninstall", "--all-databases", "-v0") == Result(0, "", "")
    assert pgtrigger("install", INVOICE, "--all-databases", "-v0") == Result(0, "", "")
    left = run(
        "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE 'pgtrigger%%'",
        using="archive",
    )
    assert left == [(0,)]


@pytest.fixture
def tenants() -> list[str]:
    """Five schemas with a table of invoices each, one with a hostile name."""
    names = ["tenant_1", "tenant_2", "Tenant_3", "tenant_4", 'tenant_5"; --']
    for name in names:
        run("CREATE SCHEMA {schema}", schema=name)
        run(
            "CREATE TABLE {table} (LIKE public.past_invoice INCLUDING ALL)",
            table=within(name, "past_invoice"),
        )
    return names


def schemas_with_the_trigger() -> dict[str, tuple[str, str]]:
    """Return by schema the mode of the trigger there, and the schema of its function."""
    return {
        schema: (mode, function)
        for schema, mode, function in run(
            "SELECT n.nspname::text, t.tgenabled::text, f.nspname::text FROM pg_trigger t "
            "JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
            "JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace f ON f.oid = p.pronamespace "
            "WHERE t.tgname = %s",
            pgid(INVOICE),
        )
    }


def test_a_glob_takes_every_schema_that_it_matches(pgtrigger: Run, tenants: list[str]) -> None:
    five = ("--schema-glob", "[tT]enant_*")
    assert "install: 5 created." in pgtrigger("install", INVOICE, *five).err
    assert schemas_with_the_trigger() == {
        "public": ("O", "public"),
        **{name: ("O", name) for name in tenants},
    }
    assert pgtrigger("install", INVOICE, *five).err == "install: 5 unchanged.\n"
    assert "5 switched" in pgtrigger("disable", INVOICE, *five).err
    assert {mode for mode, _ in schemas_with_the_trigger().values()} == {"O", "D"}
    assert mode_of() is Enabled.ENABLED
    assert "enable: 5 switched, 1 unchanged" in pgtrigger("enable", INVOICE, "--all-schemas").err
    assert "uninstall: 5 dropped" in pgtrigger("uninstall", INVOICE, *five).err
    assert schemas_with_the_trigger() == {"public": ("O", "public")}


@pytest.mark.parametrize("schema", ["tenant_1", "Tenant_3", 'tenant_5"; --'])
def test_one_schema_is_taken_by_its_name_to_the_letter(
    schema: str, pgtrigger: Run, tenants: list[str]
) -> None:
    assert pgtrigger("install", INVOICE, "-s", schema).code == 0
    assert schemas_with_the_trigger() == {"public": ("O", "public"), schema: ("O", schema)}
    assert pgtrigger("uninstall", INVOICE, "-s", schema, "-s", "public").code == 0
    assert schemas_with_the_trigger() == {"public": ("O", "public")}


def test_the_search_path_of_the_caller_stays_what_it_was(
    pgtrigger: Run, tenants: list[str]
) -> None:
    before = run("SHOW search_path")
    pgtrigger("install", INVOICE, "-s", tenants[0])
    assert run("SHOW search_path") == before


# Usage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["install", "uninstall", "enable", "disable"])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("past.Invoce",),
            'No registered trigger matches "past.Invoce": did you mean "past.Invoice"?',
        ),
        (("past.Invoice", ""), 'No registered trigger matches ""'),
        (("-d", "defualt"), 'has no alias "defualt": did you mean "default"?'),
        (("-d", ""), 'has no alias ""'),
        (("-s", "publik"), 'has no schema "publik": did you mean "public"?'),
        (("-s", ""), 'has no schema ""'),
        (("--schema-glob", "publik*"), 'No schema matches "publik*": did you mean "public"?'),
        (("--lock-timeout", "1"), '"1" is no duration: write 250ms, 30s'),
        (("--lock-timeout", "0ms"), '"0ms" must be more than nothing'),
        (("--lock-timeout=-5s",), '"-5s" is no duration'),
        (("--lock-timeout", ""), '"" is no duration'),
        (("--lock-timeout", "9999d"), "at most 366 days"),
        (("--lock-budget", "soon"), '"soon" is no duration'),
        (("--lock-budget", ""), '"" is no duration'),
        (("--allow", "EVERYTHING"), '"EVERYTHING" is not a value of --allow: choose from DROPS_'),
        (("--allow", "PRUNES_MOST,nope"), '"NOPE" is not a value of --allow'),
        (("--out", "x"), "--out writes what --dry-run found: give both."),
        (("--plan", ""), "--plan is empty: say which."),
        (("--dry-run", "--out", ""), "--out is empty: say which."),
        (("--reason", "a\0b"), '"a\\x00b" holds a character that no database can take.'),
        (("--reason", "a\udcffb"), '"a\\udcffb" holds a character that no database can take.'),
        (("past\0",), '"past\\x00" holds a character'),
        (("--plan", "x", INVOICE), "--plan says itself what to do: give no selector beside it."),
        (("--plan", "x", "--dry-run"), "give no --dry-run beside it."),
        (("--plan", "x", "-d", "archive"), "give no --database beside it."),
        (("--plan", "x", "-s", "public"), "give no --schema beside it."),
        (("--plan", "x", "--all-schemas"), "give no --all-schemas beside it."),
        (("--plan", "x", "--lock-timeout", "1s"), "give no --lock-timeout beside it."),
        (("--plan", "no such file"), "The plan file cannot be read: "),
        (("--plan", "a\0b"), "The plan file cannot be read: "),
    ],
)
def test_what_is_asked_for_wrongly_changes_nothing(
    verb: str, arguments: tuple[str, ...], sentence: str, pgtrigger: Run
) -> None:
    before = schemas_with_the_trigger(), entries()
    result = pgtrigger(verb, *arguments)
    assert (result.code, result.out) == (2, "")
    assert sentence in result.err
    assert len(result.err.splitlines()) == 1
    assert (schemas_with_the_trigger(), entries()) == before


def test_a_number_without_a_unit_from_call_command_is_usage(pgtrigger: Run) -> None:
    result = pgtrigger("install", lock_timeout=5)
    assert result.code == 2
    assert '"5" is no duration' in result.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("disable", INVOICE, "--for", "30m"), "A disable that ends needs a --reason: say why."),
        (("disable", INVOICE, "--for", "30m", "--reason", " "), "needs a --reason"),
        (("disable", INVOICE, "--for", "", "--reason", "x"), "--for is empty: say which."),
        (("disable", INVOICE, "--for", "0s", "--reason", "x"), "must be more than nothing"),
        (("disable", INVOICE, "--for", "30", "--reason", "x"), '"30" is no duration'),
        (("prune", "past_invoice:nope"), 'There is no trigger "past_invoice:nope"'),
        (("prune", "--functions", "x:y"), "--functions takes all that nothing executes"),
    ],
)
def test_a_verb_of_its_own_is_asked_for_wrongly(
    arguments: tuple[str, ...], sentence: str, pgtrigger: Run
) -> None:
    result = pgtrigger(*arguments)
    assert (result.code, result.out) == (2, "")
    assert sentence in result.err
    assert mode_of() is Enabled.ENABLED


def test_modes_exclude_each_other_for_callers_too(pgtrigger: Run) -> None:
    result = pgtrigger("enable", INVOICE, always=True, replica=True)
    assert (result.code, mode_of()) == (2, Enabled.ENABLED)
    assert result.err == "--always, --replica and --expired exclude each other: choose one.\n"


# Dry runs and plan files -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("uninstall", INVOICE),
        ("disable", "past"),
        ("enable", INVOICE, "--always"),
        ("uninstall",),
        ("install", CUSTOMER),
    ],
)
def test_a_dry_run_prints_exactly_the_sql_that_would_run(
    arguments: tuple[str, ...], pgtrigger: Run
) -> None:
    gut(pgid(CUSTOMER))
    before = run("SELECT oid, xmin::text, tgenabled FROM pg_trigger ORDER BY oid"), entries()
    dry = pgtrigger(*arguments, "--dry-run")
    after = run("SELECT oid, xmin::text, tgenabled FROM pg_trigger ORDER BY oid"), entries()
    assert (dry.code, after) == (0, before)
    assert pgtrigger(*arguments).code == 0
    done = LedgerEntry.objects.filter(kind="statement").order_by("id")
    assert len(done) > 0
    place = 0
    for entry in done:
        place = dry.out.index(entry.sql, place)
    assert dry.out.count("\n-- ") > len(done)


def test_a_dry_run_without_work_prints_nothing_on_stdout(pgtrigger: Run) -> None:
    result = pgtrigger("install", INVOICE, "--dry-run")
    assert result == Result(0, "", "Nothing to do: the trigger is as it should be.\n")
    assert pgtrigger("install", INVOICE, "--dry-run", "-v0") == Result(0, "", "")


@pytest.fixture
def plan_file(tmp_path: Path, pgtrigger: Run) -> Path:
    """Write a plan that uninstalls one trigger."""
    path = tmp_path / "plan.json"
    assert pgtrigger("uninstall", INVOICE, "--dry-run", "--out", str(path)).code == 0
    return path


def test_a_plan_file_is_carried_out_once(plan_file: Path, pgtrigger: Run) -> None:
    done = pgtrigger("uninstall", "--plan", str(plan_file), "--reason", "as agreed")
    assert (done.code, status_of()) == (0, Status.UNINSTALLED)
    assert LedgerEntry.objects.order_by("-id")[0].reason == "as agreed"
    again = pgtrigger("uninstall", "--plan", str(plan_file))
    assert (again.code, again.out) == (4, "")
    assert "Nothing that the plan says is left to be done." in again.err


def test_a_plan_through_a_pipe_is_a_plan(plan_file: Path, pgtrigger: Run) -> None:
    reading, writing = os.pipe()
    os.write(writing, plan_file.read_bytes())
    os.close(writing)
    try:
        assert pgtrigger("uninstall", "--plan", f"/dev/fd/{reading}").code == 0
    finally:
        os.close(reading)
    assert status_of() is Status.UNINSTALLED


def edited(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_text(""), "is not JSON"),
    "no plan": (lambda path: path.write_text("{}"), 'no "schema"'),
    "deep": (lambda path: path.write_text("[" * 100_000), "is nested too deeply"),
    "binary": (lambda path: path.write_bytes(bytes(range(256)) * 16), "is not JSON"),
    "without a statement": (
        lambda path: edited(path, lambda plan: plan["statements"].pop()),
        "was edited after it was written",
    ),
    "for everything": (
        lambda path: edited(path, lambda plan: plan["request"].update(selectors=[])),
        "was edited after it was written",
    ),
    "other SQL": (
        lambda path: path.write_text(path.read_text().replace("DROP", "TRUNCATE")),
        "was edited after it was written",
    ),
    "disabled since": (
        lambda _: run("ALTER TABLE past_invoice DISABLE TRIGGER ALL"),
        "The statements would be others now",
    ),
    "body changed since": (
        lambda _: gut(pgid(INVOICE)),
        "The statements would be others now",
    ),
}


@pytest.mark.parametrize(("spoil", "sentence"), SPOILT.values(), ids=SPOILT)
def test_a_plan_file_that_is_not_what_would_be_done_is_refused(
    spoil: Callable[[Path], object], sentence: str, plan_file: Path, pgtrigger: Run
) -> None:
    spoil(plan_file)
    before = entries()
    result = pgtrigger("uninstall", "--plan", str(plan_file))
    assert (result.code, result.out) == (4, "")
    assert sentence in result.err
    assert len(result.err.splitlines()) == 1
    assert status_of() is not Status.UNINSTALLED
    assert entries() == before


def test_a_plan_file_of_another_verb_is_refused(plan_file: Path, pgtrigger: Run) -> None:
    result = pgtrigger("install", "--plan", str(plan_file))
    assert (result.code, result.out, status_of()) == (4, "", Status.INSTALLED)
    assert "The plan is one of uninstall" in result.err


def test_a_plan_file_is_no_longer_carried_out_when_it_is_old(
    tmp_path: Path, pgtrigger: Run, settings: Any
) -> None:
    settings.TRIGGER_OPS = {"PLAN_LIFETIME": "1ms"}
    path = tmp_path / "plan.json"
    assert pgtrigger("disable", INVOICE, "--dry-run", "--out", str(path)).code == 0
    result = pgtrigger("disable", "--plan", str(path))
    assert (result.code, mode_of()) == (4, Enabled.ENABLED)
    assert result.err.startswith("The plan expired at ")


def test_a_plan_file_of_another_database_is_refused(
    plan_file: Path, pgtrigger: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = changes.plan_files.read(plan_file.read_text())
    monkeypatch.setattr(
        changes.plan_files,
        "read",
        lambda _: _with_server(made, identifier="another cluster"),
    )
    result = pgtrigger("uninstall", "--plan", str(plan_file))
    assert (result.code, status_of()) == (4, Status.INSTALLED)
    assert "The plan is for other databases" in result.err


def _with_server(made: Any, **changed: str) -> Any:
    (server,) = made.servers
    return dataclasses.replace(made, servers=(dataclasses.replace(server, **changed),))


def test_a_plan_whose_trigger_the_code_no_longer_has_is_stale(
    plan_file: Path, pgtrigger: Run
) -> None:
    ((model, trigger),) = registered(INVOICE)
    registry.delete(INVOICE)
    try:
        result = pgtrigger("uninstall", "--plan", str(plan_file))
    finally:
        registry.set(INVOICE, model=model, trigger=trigger)
    assert (result.code, result.out, status_of()) == (4, "", Status.INSTALLED)
    assert "The plan cannot be made any more: No registered trigger matches" in result.err


@pytest.mark.parametrize("kind", ["folder", "endless"])
def test_what_is_no_plan_file_is_not_read_to_its_end(
    kind: str, tmp_path: Path, pgtrigger: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes.plan_files, "LARGEST", 1000)
    path = str(tmp_path) if kind == "folder" else "/dev/zero"
    result = pgtrigger("install", "--plan", path)
    assert (result.code, result.out) == ((2, "") if kind == "folder" else (4, ""))
    assert ("cannot be read" if kind == "folder" else "is larger than") in result.err


def test_a_lease_from_a_plan_file_needs_a_reason_too(tmp_path: Path, pgtrigger: Run) -> None:
    path = tmp_path / "plan.json"
    asked = ("disable", INVOICE, "--for", "1h", "--reason", "planned")
    assert pgtrigger(*asked, "--dry-run", "--out", str(path)).code == 0
    refused = pgtrigger("disable", "--plan", str(path))
    assert (refused.code, mode_of()) == (2, Enabled.ENABLED)
    assert "needs a --reason" in refused.err
    assert pgtrigger("disable", "--plan", str(path), "--reason", "done").code == 0
    assert mode_of() is Enabled.DISABLED


def test_a_plan_over_several_databases_is_one_file(tmp_path: Path, pgtrigger: Run) -> None:
    path = tmp_path / "plan.json"
    asked = ("uninstall", INVOICE, ARCHIVED, "-d", "default", "-d", "archive")
    assert pgtrigger(*asked, "--dry-run", "--out", str(path)).code == 0
    assert set(json.loads(path.read_text())["server"]) == {"default", "archive"}
    assert pgtrigger("uninstall", "--plan", str(path)).code == 0
    assert status_of() is status_of(ARCHIVED, "archive") is Status.UNINSTALLED


def test_a_plan_that_cannot_be_written_leaves_nothing(tmp_path: Path, pgtrigger: Run) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "no" / "such" / "folder", Path("a\0b")):
        result = pgtrigger("uninstall", INVOICE, "--dry-run", "--out", str(path))
        assert result.code == 2
        assert "The plan cannot be written: " in result.err
    assert [one.name for one in tmp_path.rglob("*")] == ["folder"]
    assert status_of() is Status.INSTALLED


def test_a_plan_never_replaces_what_is_no_file(tmp_path: Path, pgtrigger: Run) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    assert pgtrigger("uninstall", INVOICE, "--dry-run", "--out", str(link)).code == 0
    assert link.is_symlink()
    assert json.loads(target.read_text())["verb"] == "uninstall"
    link.unlink()
    link.symlink_to(os.devnull)
    assert pgtrigger("uninstall", INVOICE, "--dry-run", "--out", str(link)).code == 0
    assert not Path(os.devnull).is_file()


# Refusals --------------------------------------------------------------------------------------


def test_a_lease_where_our_tables_are_missing_is_refused(pgtrigger: Run) -> None:
    run("ALTER TABLE trigger_ops_triggerlease RENAME TO hidden")
    result = pgtrigger("disable", INVOICE, "--for", "1h", "--reason", "x")
    assert (result.code, result.out) == (4, "")
    assert "run manage.py migrate trigger_ops --database default" in result.err
    assert pgtrigger("enable", "--expired").code == 4


def test_a_verb_works_with_one_warning_where_our_tables_are_missing(pgtrigger: Run) -> None:
    run("ALTER TABLE trigger_ops_ledgerentry RENAME TO hidden")
    result = pgtrigger("disable", INVOICE)
    assert (result.code, mode_of()) == (0, Enabled.DISABLED)
    assert result.err.count("warning: Nothing is recorded") == 1


def test_every_hazard_can_be_allowed_in_several_ways(pgtrigger: Run) -> None:
    words = [one.value for one in Hazard]
    for given in (",".join(words), ", ".join(words).lower()):
        assert pgtrigger("install", INVOICE, "--allow", given).code == 0
    repeated = [part for word in words for part in ("--allow", word)]
    assert pgtrigger("install", INVOICE, *repeated).code == 0


def test_a_database_that_is_down_stops_all_before_anything_is_changed(site: Site) -> None:
    result = site.manage(
        *("pgtrigger", "disable", INVOICE, "-d", "default", "-d", "down"), down=True
    )
    assert (result.code, result.out) == (5, "")
    assert '"down" could not be read' in result.err
    assert "Traceback" not in result.err
    assert mode_of() is Enabled.ENABLED


def test_an_internal_error_is_one_sentence_and_70(
    pgtrigger: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("no")

    monkeypatch.setattr(api, "apply", fail)
    result = pgtrigger("disable", INVOICE)
    assert (result.code, result.out) == (70, "")
    assert result.err.startswith("Internal error, ZeroDivisionError: no. ")


def test_ctrl_c_in_the_middle_is_6_and_a_sentence(
    pgtrigger: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "apply", interrupt)
    result = pgtrigger("disable", INVOICE)
    assert (result.code, result.out) == (6, "")
    assert result.err.startswith("Stopped by Ctrl-C: each table is as it was, or as it should be.")


def test_a_broken_transaction_of_the_callers_is_refused_with_a_sentence(pgtrigger: Run) -> None:
    connection.set_rollback(True)
    try:
        result = pgtrigger("disable", INVOICE)
    finally:
        connection.set_rollback(False)
    assert (result.code, result.out) == (5, "")
    assert "can only be rolled back" in result.err
    assert mode_of() is Enabled.ENABLED


def test_python_asks_for_the_same_plan_as_the_command_line(pgtrigger: Run) -> None:
    planned = api.plan(Request(verb=Verb.DISABLE, databases=("default",), selectors=(INVOICE,)))
    shown = pgtrigger("disable", INVOICE, "--dry-run").out
    assert [one.sql for _, one in planned.statements] == [
        line.removesuffix(";") for line in shown.splitlines() if line.startswith("ALTER")
    ]
    assert planned.request.scope == Scope()
