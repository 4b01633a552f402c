"""``pgtrigger guard``: status, install and remove, and what `migrate` brings up to date."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pgtrigger
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from demo_site.past.models import Receipt
from tests.damage import install_sql, make_role, pgid, run
from tests.guard.parts import body, gate_body, put_stock_body
from tests.guard.test_acknowledge import REASON, guard
from tests.guard.test_ddl_guard import objects
from trigger_ops import api
from trigger_ops.inspection.ignoring import stock_ignore_body
from trigger_ops.states import ExitCode, Level

RECEIPT = "past.Receipt:append_only"
WITNESSES = "SELECT count(*) FROM pg_trigger WHERE tgname ~ '^trigger_ops_witness'"


def bad() -> list[str]:
    report = api.check(databases=["default"])
    assert report.complete
    return [one.id for one in report.findings if one.level >= Level.WARNING]


def status() -> dict[str, Any]:
    code, out, _ = guard("status", "--format", "json")
    document: dict[str, Any] = json.loads(out)
    assert document["exit_code"] == code
    (one,) = document["databases"]
    return {**one, "exit_code": code}


# Install and remove -------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_database")
def test_installed_shown_and_removed_again() -> None:
    assert bad() == []
    code, out, _ = guard("install", "--dry-run")
    assert (code, "trigger_ops_witness" in out) == (0, True)
    assert status()["on"] is False
    assert guard("install", "--reason", "a test")[0] == 0
    assert bad() == []
    shown = status()
    assert (shown["on"], shown["exit_code"], shown["ddl_guard"]) == (True, 0, False)
    assert [one["fault"] for one in shown["gates"]] == [""] * len(shown["gates"]) != []
    assert not any(one["faults"] for one in shown["tables"])
    assert guard("install")[0] == 0
    assert guard("remove", "--reason", "a test")[0] == 0
    assert (bad(), status()["on"], body()) == ([], False, stock_ignore_body())
    assert run(WITNESSES) == [(0,)]


@pytest.mark.django_db(databases=["default", "lite"])
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("guard", "install", "--ddl-guard", "--dry-run"),
            "has no triggers to guard: leave it out",
        ),
        (("guard", "install"), "has no triggers to guard: leave it out"),
        (("guard", "remove"), "has no triggers to guard: leave it out"),
        (("guard", "acknowledge", "--reason", REASON), "has no triggers to guard: leave it out"),
        (("log",), "has no ledger: name another one with -d"),
    ],
)
def test_another_kind_of_database_is_refused_in_a_sentence(
    words: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError, match=f'"lite" is no.* PostgreSQL.*{sentence}') as refused:
        call_command("pgtrigger", *words, "-d", "lite", stdout=io.StringIO())
    assert refused.value.returncode == ExitCode.REFUSED


@pytest.mark.usefixtures("guarded")
def test_what_psql_does_to_a_trigger_is_found_and_not_in_the_log() -> None:
    entries = run("SELECT count(*) FROM trigger_ops_ledgerentry")
    disable = "ALTER TABLE past_receipt DISABLE TRIGGER {trigger}"
    run(disable, trigger=pgid(RECEIPT))
    run("ALTER TABLE past_receipt DISABLE TRIGGER trigger_ops_witness")
    assert {"trigger_ops.E002", "trigger_ops.W006"} <= set(bad())
    assert run("SELECT count(*) FROM trigger_ops_ledgerentry") == entries
    run("ALTER TABLE past_receipt ENABLE TRIGGER {trigger}", trigger=pgid(RECEIPT))
    run("ALTER TABLE past_receipt ENABLE ALWAYS TRIGGER trigger_ops_witness")
    assert bad() == []


@pytest.mark.usefixtures("guarded")
def test_status_says_what_holds_for_each_trigger(settings: Any) -> None:
    settings.TRIGGER_OPS = {"POLICIES": {RECEIPT: "four_eyes", "past.Invoice": "open"}}
    assert guard("install")[0] == 0
    modes = {one["uri"]: one for table in status()["tables"] for one in table["triggers"]}
    assert (modes[RECEIPT]["policy"], modes[RECEIPT]["enforced"]) == ("four_eyes", True)
    assert modes["past.Invoice:protect_deletes"]["policy"] == "open"
    assert modes["past.Customer:read_only_email"]["policy"] == "record"
    code, out, _ = guard("status")
    assert code == 0
    assert f"enforced (four_eyes) {RECEIPT}" in out
    assert "detected (record) past.Customer:read_only_email" in out
    assert "not witnessable: it is a view" in out
    assert "every schema of the database" in out
    assert 'single, because role "' in out


@pytest.mark.usefixtures("guarded")
def test_the_profile_is_split_for_roles_that_own_nothing(settings: Any) -> None:
    role = make_role("app")
    try:
        settings.TRIGGER_OPS = {"APP_ROLES": [role]}
        assert guard("install")[0] == 0
        shown = status()
        assert (shown["profile"], shown["profile_roles"]) == ("split", [role])
        assert f"kept from {role} by ownership" in guard("status")[1]
        run("ALTER TABLE past_receipt OWNER TO {role}", role=role)
        shown = status()
        assert shown["profile"] == "single"
        assert "the table public.past_receipt" in shown["profile_reasons"][0]
        settings.TRIGGER_OPS = {"APP_ROLES": ["nobody_of_this_name"]}
        assert status()["profile_reasons"] == ['there is no role "nobody_of_this_name"']
    finally:
        run("REASSIGN OWNED BY {role} TO CURRENT_USER", role=role)
        run("DROP OWNED BY {role}", role=role)
        run("DROP ROLE {role}", role=role)


# The guard of DDL ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_database")
def test_with_the_guard_of_ddl_everything_of_ours_still_works() -> None:
    code, out, _ = guard("install", "--ddl-guard", "--dry-run")
    assert (code, "CREATE EVENT TRIGGER" in out) == (0, True)
    assert objects() == []
    code, _, err = guard("install", "--ddl-guard")
    assert (code, "The DDL guard is on in default." in err) == (0, True)
    assert (bad(), status()["ddl_guard"]) == ([], True)
    run("ALTER EVENT TRIGGER trigger_ops_ddl_guard DISABLE")
    run("ALTER EVENT TRIGGER trigger_ops_drop_guard DISABLE")
    run("ALTER TABLE past_receipt DISABLE TRIGGER trigger_ops_witness")
    run("DROP TRIGGER trigger_ops_witness_truncate ON past_invoice")
    assert set(bad()) == {"trigger_ops.C006", "trigger_ops.W006"}
    assert guard("install", "--ddl-guard")[0] == 0
    assert bad() == []
    call_command("pgtrigger", "install", "--no-input", verbosity=0)
    call_command("pgtrigger", "disable", RECEIPT, "--no-input", verbosity=0)
    call_command("pgtrigger", "enable", RECEIPT, "--no-input", verbosity=0)
    assert bad() == []
    code, out, _ = guard("remove", "--dry-run")
    assert (code, "DROP EVENT TRIGGER" in out) == (0, True)
    assert len(objects()) == 4
    assert guard("remove")[0] == 0
    assert (bad(), objects(), status()["on"]) == ([], [], False)


@pytest.mark.usefixtures("own_database")
def test_the_guard_of_ddl_and_a_plan_file_do_not_go_together(tmp_path: Path) -> None:
    file = str(tmp_path / "plan.json")
    assert guard("install", "--dry-run", "--out", file)[0] == 0
    code, _, err = guard("install", "--plan", file, "--ddl-guard")
    assert (code, "--plan says itself" in err) == (int(ExitCode.USAGE), True)
    assert guard("install", "--plan", file)[0] == 0
    assert guard("install", "--ddl-guard")[0] == 0
    assert guard("remove", "--dry-run", "--out", file)[0] == 0
    code, _, err = guard("remove", "--plan", file)
    assert (code, "without --plan" in err) == (int(ExitCode.REFUSED), True)
    assert status()["on"] is True
    assert len(objects()) == 4


@pytest.mark.usefixtures("own_database")
def test_without_a_superuser_nothing_is_changed() -> None:
    role = make_role("ordinary")
    run("SET ROLE {role}", role=role)
    try:
        code, _, err = guard("install", "--ddl-guard")
        assert (code, "is for superusers" in err) == (int(ExitCode.REFUSED), True)
    finally:
        run("RESET ROLE")
        run("DROP ROLE {role}", role=role)
    assert (status()["on"], objects(), run(WITNESSES)) == (False, [], [(0,)])


# What migrate brings up to date -------------------------------------------------------------------


def migrate() -> None:
    call_command("migrate", verbosity=0)


def put_the_stock_function_back() -> None:
    put_stock_body()


def attach_a_partition() -> None:
    run("CREATE TABLE more (LIKE awkward_measurement INCLUDING ALL EXCLUDING IDENTITY)")
    run(
        "ALTER TABLE awkward_measurement ATTACH PARTITION more "
        "FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')"
    )


def lose_a_witness() -> None:
    run("DROP TRIGGER trigger_ops_witness ON past_receipt")


def make_a_table_anew() -> None:
    with connections["default"].schema_editor() as editor:
        editor.delete_model(Receipt)
        editor.create_model(Receipt)


def rename_a_table_there_and_back() -> None:
    with connections["default"].schema_editor() as editor:
        editor.alter_db_table(Receipt, "past_receipt", "past_voucher")
        editor.alter_db_table(Receipt, "past_voucher", "past_receipt")
    put_stock_body()


@pytest.mark.parametrize("on_migrate", [False, True], ids=["", "INSTALL_ON_MIGRATE"])
@pytest.mark.parametrize(
    "damage",
    [
        put_the_stock_function_back,
        attach_a_partition,
        lose_a_witness,
        make_a_table_anew,
        rename_a_table_there_and_back,
    ],
)
@pytest.mark.usefixtures("guarded")
def test_migrate_brings_the_guard_up_to_date(
    damage: Callable[[], None], settings: Any, *, on_migrate: bool
) -> None:
    settings.PGTRIGGER_INSTALL_ON_MIGRATE = on_migrate
    assert bad() == []
    damage()
    migrate()
    assert bad() == []
    assert body() == gate_body()


@pytest.mark.parametrize("first", ["trigger_ops", "pgtrigger"])
@pytest.mark.usefixtures("guarded")
def test_the_order_of_the_apps_does_not_matter(
    first: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PGTRIGGER_INSTALL_ON_MIGRATE = True
    order = list(apps.app_configs)
    order.remove(first)
    monkeypatch.setattr(
        apps, "app_configs", {name: apps.app_configs[name] for name in [first, *order]}
    )
    put_stock_body()
    migrate()
    assert (bad(), body()) == ([], gate_body())


@pytest.mark.usefixtures("guarded")
def test_a_trigger_of_another_name_is_watched_after_migrate() -> None:
    text = install_sql(RECEIPT).replace("pgtrigger_append_only_53885", "pgtrigger_old_00000")
    with connections["default"].cursor() as cursor:
        cursor.execute(text)
        cursor.execute("DROP TRIGGER pgtrigger_old_00000 ON past_receipt")
        cursor.execute("DROP FUNCTION pgtrigger_old_00000()")
    assert [one for one in bad() if one == "trigger_ops.C006"] == ["trigger_ops.C006"]
    migrate()
    assert bad() == []


@pytest.mark.usefixtures("guarded")
def test_what_cannot_be_brought_up_to_date_is_logged_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lose_a_witness()
    role = make_role("migrator")
    run("GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}", role=role)
    run("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}", role=role)
    run("SET ROLE {role}", role=role)
    try:
        with caplog.at_level(logging.WARNING, "trigger_ops"):
            assert api.restore_guard("default") == 0
    finally:
        run("RESET ROLE")
        run("DROP OWNED BY {role}", role=role)
        run("DROP ROLE {role}", role=role)
    assert "the guard on default was not brought up to date" in caplog.text


@pytest.mark.usefixtures("own_database")
def test_where_the_guard_is_off_migrate_leaves_it_off() -> None:
    migrate()
    assert (body(), run(WITNESSES), api.restore_guard("default")) == (
        stock_ignore_body(),
        [(0,)],
        0,
    )


def test_a_session_that_was_refused_by_policy_needs_no_witness(
    guarded: BaseDatabaseWrapper, settings: Any
) -> None:
    settings.TRIGGER_OPS = {"POLICY": "session"}
    migrate()  # policies come from the settings
    receipt = Receipt.objects.create(number="R-1")
    ignored = pgtrigger.ignore(RECEIPT)
    with pytest.raises(DatabaseError, match="in a session only"), ignored, transaction.atomic():
        Receipt.objects.filter(pk=receipt.pk).delete()
