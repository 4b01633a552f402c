"""What to type next names the database that it is for, where that is not the default one."""

from __future__ import annotations

import io
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import override_settings

from tests.api.conftest import archive_at
from tests.copies import Copies
from tests.damage import pgid, run
from tests.management.sessions import PASSWORD, REASON, RECEIPT, SOFT_DELETE, Run, make_user
from trigger_ops import api
from trigger_ops.api.guard_terms import refuse_while_in_use
from trigger_ops.exceptions import TriggerOpsError
from trigger_ops.planner import Request
from trigger_ops.states import Verb

OPEN = ("session", "open", RECEIPT, "--reason", REASON)
FOUR_EYES = "UPDATE trigger_ops_guard SET policy = 'four_eyes', approvals = 1"


@pytest.fixture
def archive(
    guarded: BaseDatabaseWrapper, copies: Callable[[str], Copies], guarded_template: str
) -> Iterator[BaseDatabaseWrapper]:
    """Let `archive` be a second guarded database, which has every table of the first one."""
    name = copies(guarded_template).take()
    with override_settings(DATABASE_ROUTERS=[]), archive_at(NAME=name) as connection:
        yield connection
    copies(guarded_template).give_back(name)


@pytest.fixture
def bare(
    guarded: BaseDatabaseWrapper, make_database: Callable[..., str]
) -> Iterator[BaseDatabaseWrapper]:
    """Let `archive` be a database without a single table."""
    with archive_at(NAME=make_database(empty=True)) as connection:
        yield connection


def open_on(alias: str) -> int:
    """Ask for a session on a database; return its number."""
    return api.open_session(RECEIPT, reason=REASON, using=alias, actor="os:ann@web1").id


@pytest.mark.usefixtures("archive")
def test_what_open_prints_approves_the_session_that_was_opened(
    pgtrigger: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user("eve")
    for alias in ("default", "archive"):
        run(FOUR_EYES, using=alias)
    other = open_on("default")
    printed = pgtrigger(*OPEN, "-d", "archive").out
    found = re.search(r"manage\.py pgtrigger (session approve .*) NAME\.", printed)
    assert found is not None
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
    words = [*shlex.split(found[1]), "eve", "--password-stdin"]
    assert pgtrigger(*words).code == 0
    assert api.find_session(other).state == "pending"
    assert api.list_sessions(limit=1, using="archive")[0].state == "active"


def enter(**asked: Any) -> Callable[[str], object]:
    """Return what enters a session on a database."""
    return lambda alias: api.session(using=alias, **asked).__enter__()


def wants_approval(alias: str) -> None:
    run(FOUR_EYES, using=alias)
    api.session(RECEIPT, reason=REASON, using=alias).__enter__()


def is_pending(alias: str) -> None:
    run(FOUR_EYES, using=alias)
    enter(id=open_on(alias))(alias)


def is_in_use(alias: str) -> None:
    open_on(alias)
    refuse_while_in_use(Request(verb=Verb.GUARD_REMOVE, databases=(alias,)))


def lacks_the_trigger(alias: str) -> None:
    run("DROP TRIGGER {name} ON past_receipt", name=pgid(RECEIPT), using=alias)
    open_on(alias)


def has_no_guard(alias: str) -> None:
    run("DELETE FROM trigger_ops_guard", using=alias)
    open_on(alias)


SENTENCES: dict[str, tuple[Callable[[str], object], str]] = {
    "no session to show": (lambda alias: api.find_session(9, using=alias), "session list{} shows"),
    "no session to enter": (enter(id=9), "session list{} lists"),
    "no approval": (is_pending, "session approve 1{}."),
    "approval needed": (wants_approval, "session open …{} and have it"),
    "no guard": (has_no_guard, "guard install{}."),
    "no trigger": (lacks_the_trigger, f"pgtrigger install {RECEIPT}{{}}, or"),
    "no selector": (lambda alias: api.open_session(reason=REASON, using=alias), "ls{} lists them"),
    "in use": (is_in_use, "session revoke 1{}."),
}


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(("alias", "option"), [("default", ""), ("archive", " -d archive")])
@pytest.mark.parametrize("case", SENTENCES)
def test_a_refusal_names_the_database_in_the_next_command(
    case: str, alias: str, option: str
) -> None:
    act, expected = SENTENCES[case]
    with pytest.raises(TriggerOpsError) as refused:
        act(alias)
    assert expected.format(option) in str(refused.value)


@pytest.mark.usefixtures("bare")
def test_a_database_without_our_tables_is_named_too(pgtrigger: Run) -> None:
    said = pgtrigger(*OPEN, "-d", "archive").err
    assert "migrate --database archive, then manage.py pgtrigger guard install -d archive." in said
    assert (
        "run manage.py migrate --database archive"
        in pgtrigger("guard", "status", "-d", "archive").out
    )


@pytest.mark.usefixtures("archive")
def test_a_session_that_left_a_finding_is_reported_from_its_database(pgtrigger: Run) -> None:
    code = (
        "from demo_site.tutorial.models import SoftDelete; "
        "rows = SoftDelete.objects.using('archive'); rows.create(); rows.all().delete()"
    )
    asked = ("session", "run", SOFT_DELETE, "--reason", REASON, "-d", "archive")
    result = pgtrigger(*asked, "--", "shell", "-c", code)
    assert "See manage.py pgtrigger session report 1 -d archive." in result.err


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(
    ("statement", "code", "fix"),
    [
        (
            "ALTER TABLE past_receipt RENAME TO gone",
            "E001",
            "manage.py migrate --database archive",
        ),
        (
            "DROP TRIGGER {name} ON past_receipt",
            "E001",
            f"manage.py pgtrigger install {RECEIPT} -d archive",
        ),
        (
            "DELETE FROM django_migrations WHERE app = 'past'",
            "I006",
            "manage.py makemigrations && manage.py migrate --database archive",
        ),
    ],
)
def test_a_fix_names_the_database(statement: str, code: str, fix: str) -> None:
    run(statement, using="archive", **({"name": pgid(RECEIPT)} if "{name}" in statement else {}))
    report = api.check(RECEIPT, databases=["archive"])
    assert {one.fix for one in report.findings if one.id == f"trigger_ops.{code}"} == {fix}
