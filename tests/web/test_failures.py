"""What stands in the way of the pages: a sentence and a next step on each of them, and never a 500."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pgtrigger
import pytest
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend

from tests.damage import make_role, run
from tests.sessions.conftest import (
    default_at,
    guarded,
    guarded_template,
    make_database,
    migrated_database,
    own_database,
)
from tests.weaknesses.conftest import empty_database
from tests.web.dashboard import LOOKS, POSTS, Way, World, make_world, world
from tests.web.recorded import words
from trigger_ops.web import evidence, freshness

__all__ = [
    "empty_database",
    "guarded",
    "guarded_template",
    "make_database",
    "migrated_database",
    "own_database",
    "world",
]

TEAM = {"name": "team", "backend": "email", "to": ["ops@example.org"]}
STEP = re.compile(
    r"manage\.py|[Nn]ext step|[Nn]othing was done|look again|choose|did you mean|GRANT|name an"
    r"|there are:|there are none|registered at all|settings\.DATABASES"
)
"""What a sentence says that tells what to do."""

FORMS = (400, 422)
"""What a form is answered with that says itself what it lacks."""

DJANGO = ("contenttypes", "auth", "sessions", "admin")


@pytest.fixture(autouse=True)
def told(settings: Any) -> Iterator[None]:
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "NOTIFY": [TEAM]}
    yield
    evidence.forget()
    freshness.forget()


def asked(
    world: World, *, ways: tuple[Way, ...] = (*LOOKS, *POSTS), **query: str
) -> dict[str, Any]:
    """Ask every page in every way, each afresh; return what a person reads of each answer.

    Whatever is no page of ours as it should be has to say what to do.
    """
    found = {}
    for way in ways:
        evidence.forget()
        freshness.forget()
        answer = world.ask(way, world.boss, **(query if way.method == "GET" else {}))
        content = b"".join(answer) if answer.streaming else answer.content
        text = found[f"{way} {answer.status_code}"] = words(content.decode())
        assert answer.status_code < 500 or answer.status_code == 503, (way, text)
        assert "Traceback" not in text
        if answer.status_code >= 400 and answer.status_code not in FORMS:
            assert STEP.search(text), (way, answer.status_code, text)
    return found


def sentences(found: dict[str, str], *parts: str) -> set[str]:
    """Return which ways were answered with any of these sentences."""
    return {way for way, text in found.items() if any(part in text for part in parts)}


# Databases that do not answer ---------------------------------------------------------------------


def test_the_database_of_the_logins_is_down(world: World) -> None:
    assert world.boss.session  # logged in while it answered
    with default_at(PORT="1"):
        found = asked(world)
    assert sentences(found, "The database cannot be asked. Try again when it answers") == {*found}
    assert {way.rpartition(" ")[2] for way in found} == {"503"}


@pytest.fixture
def archive_down() -> Iterator[None]:
    """Let nobody answer where the alias `archive` is."""
    original = connections["archive"]
    nowhere = {**copy.deepcopy(original.settings_dict), "PORT": "1"}
    connections["archive"] = load_backend(nowhere["ENGINE"]).DatabaseWrapper(nowhere, "archive")
    yield
    connections["archive"] = original


PLACED = tuple(
    way
    for way in LOOKS
    if way.status == 200
    and way.page.startswith(("trigger_detail", "session_", "ledgerentry_", "change_"))
)
"""The pages that can be asked for another database."""


@pytest.mark.usefixtures("archive_down")
def test_another_database_is_down(world: World) -> None:
    found = asked(world, ways=PLACED, database="archive", using="archive")
    assert sentences(found, '"archive" could not be read: connection') == {*found}
    assert all(STEP.search(text) for text in found.values())
    assert {way.rpartition(" ")[2] for way in found} == {"200", "503"}


# Databases that are none of ours ------------------------------------------------------------------


def test_another_database_is_not_postgresql(world: World) -> None:
    found = asked(world, ways=PLACED, database="lite", using="lite")
    told = ("no PostgreSQL database", "There is no PostgreSQL database", "There is no trigger")
    assert sentences(found, *told) == {*found}


def test_no_database_at_all_is_postgresql(tmp_path: Path, make_database: Any) -> None:
    lite = {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": {}}
    archive = connections["archive"]
    with default_at(**lite, NAME=str(tmp_path / "lite.db")) as connection:
        connections["archive"] = connection.copy("archive")
        try:
            for app in (*DJANGO, "trigger_ops"):
                call_command("migrate", app, verbosity=0)
            found = asked(World())
        finally:
            connections["archive"].close()
            connections["archive"] = archive
    said = ("is no PostgreSQL", "PostgreSQL database “", "is not PostgreSQL", "project is Postgre")
    told = {way for way in found if not way.endswith((" 405", " 302", " 404"))}
    assert sentences(found, *said) >= told - {"GET runbook 200"}  # which asks no database
    assert "No database of this project is PostgreSQL" in found["GET trigger_changelist 200"]


def test_nothing_is_migrated(empty_database: BaseDatabaseWrapper) -> None:
    for app in DJANGO:
        call_command("migrate", app, verbosity=0)
    found = asked(World())
    pages = ("session_", "ledgerentry_", "change_", "drift", "allowance_", "destinations")
    told = {way for way in found if way.split()[1].startswith(pages)}
    told = {way for way in told if not way.endswith((" 405", " 302"))}
    assert sentences(found, "run manage.py migrate") >= told
    assert "need attention:" in found["GET trigger_changelist 200"]
    assert "its table is missing" in found["GET trigger_detail 200"]


# Nothing to show ----------------------------------------------------------------------------------

NOTHING = {
    "GET session_changelist 200": "No session is active: every trigger is in force.",
    "GET session_ask 200": "run manage.py pgtrigger guard install",
    "GET ledgerentry_changelist 200": "Nothing was done to triggers",
    "GET driftrun_changelist 200": "No check is on record: run manage.py pgtrigger check --record",
    "GET driftfinding_changelist 200": "No recorded check has found anything.",
    "GET allowance_changelist 200": "Nobody answers for a finding.",
    "GET allowance_add 200": "There is no open finding that nobody answers for.",
    "GET change_changelist 200": "No row was written while a trigger stood aside.",
    "GET drift_history 200": "No check of these days is on record.",
}


def said(found: dict[str, str], expected: dict[str, str]) -> dict[str, str]:
    """Return what was said of what is expected, as much as agrees."""
    return {
        way: sentence if sentence in found.get(way, "") else found.get(way, "nothing")
        for way, sentence in expected.items()
    }


def test_nothing_has_happened_yet(own_database: BaseDatabaseWrapper) -> None:
    found = asked(World())
    assert said(found, NOTHING) == NOTHING


@pytest.fixture
def no_trigger(own_database: BaseDatabaseWrapper) -> Iterator[None]:
    """Let no code declare any trigger, and the database have none but our own."""
    there = list(pgtrigger.registered())
    for model, trigger in there:
        trigger.unregister(model)
        with connections["default"].cursor() as cursor:
            cursor.execute(trigger.compile(model).uninstall_sql)
    yield
    for model, trigger in there:
        trigger.register(model)


@pytest.mark.usefixtures("no_trigger", "archive_down")
def test_there_is_no_trigger(world: World) -> None:
    found = asked(World())
    assert said(found, NOTHING) == NOTHING
    told = {"GET trigger_changelist 200": "No triggers are registered here."}
    assert said(found, told) == told


# Rights -------------------------------------------------------------------------------------------


@pytest.fixture
def weak(guarded: BaseDatabaseWrapper) -> Iterator[Callable[..., World]]:
    """Return a function that lets the project connect as a role with few rights."""
    world = make_world()
    assert world.boss.session  # logged in
    role = make_role("weak", options="LOGIN PASSWORD 'weak'")
    original = connections["default"]

    def connect(*tables: str) -> World:
        for table in tables:
            run("GRANT ALL ON {table} TO {role}", table=table, role=role)
        other = {**copy.deepcopy(original.settings_dict), "USER": role, "PASSWORD": "weak"}
        connections["default"] = load_backend(other["ENGINE"]).DatabaseWrapper(other, "default")
        return world

    yield connect
    connections["default"].close()
    connections["default"] = original
    run("DROP OWNED BY {role}", role=role)
    run("DROP ROLE {role}", role=role)


LOGINS = (
    *("auth_user", "auth_group", "auth_permission", "auth_user_user_permissions"),
    *("auth_user_groups", "auth_group_permissions", "django_session", "django_content_type"),
)


def test_our_tables_may_not_be_read(weak: Callable[..., World]) -> None:
    found = asked(weak(*LOGINS), ways=LOOKS)
    pages = ("session_", "ledgerentry_", "change_", "drift", "allowance_", "destinations")
    told = {way for way in found if way.split()[1].startswith(pages) and not way.endswith("405")}
    why = ("permission denied for table trigger_ops_", "may not read what trigger_ops keeps")
    assert {way for way in told if any(one in found[way] for one in why)} == told
    refused = {way for way in told if way.endswith(" 503")}
    assert {way for way in refused if "GRANT SELECT" in found[way]} == refused
    assert sentences(found, "This cannot be shown") >= refused  # within the admin
    assert len(told - refused) == 1  # the destinations are of the settings


def test_the_catalog_may_not_be_read(weak: Callable[..., World]) -> None:
    run("REVOKE SELECT ON pg_catalog.pg_trigger FROM PUBLIC")
    tables = [name for (name,) in run("SELECT tablename FROM pg_tables WHERE schemaname='public'")]
    found = asked(weak(*tables))
    assert '"default" could not be read' in found["GET trigger_changelist 200"]
    assert "UNKNOWN" in found["GET trigger_detail 200"]
    for way in ("GET session_ask 503", "GET session_detail 503"):
        assert "permission denied for table pg_trigger. Next step: " in found[way]


def test_not_even_the_logins_may_be_read(weak: Callable[..., World]) -> None:
    found = asked(weak())
    assert sentences(found, "permission denied for table django_session") == {*found}
    assert sentences(found, "GRANT SELECT") == {*found}
