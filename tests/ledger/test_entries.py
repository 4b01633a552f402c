"""What is entered in the ledger, with what it lives and dies, and how it is read again."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import uuid
from typing import Any

import pgtrigger
import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from tests.damage import run
from tests.ledger.conftest import make_run
from tests.weaknesses.conftest import default_at
from trigger_ops.ledger.entries import (
    Entry,
    Kind,
    Record,
    insertion,
    matches,
    read_entries,
    write_finished,
    write_started,
)
from trigger_ops.registry import registered_triggers
from trigger_ops.registry import selectors as registry_selectors
from trigger_ops.states import Verb

HOSTILE = [
    "it's",
    "back\\slash \\' \\n",
    'double "quotes"',
    "100% %s %(name)s %%",
    "{} {0} {name}",
    "'); DROP TABLE trigger_ops_ledgerentry; --",
    "$$ dollar $body$",
    "new\nline\ttab",
    "Ünïcödé ☃ 🦀 \u202e",
    "/* comment",
    "?|&:name",
]

RECORD = Record(database="default", uri="shop.Order:protect", sql="DROP TRIGGER x ON y")


def send(*parts: Any) -> None:
    """Send statements in one message, without parameters."""
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(";\n").join(parts))


def entries(**filters: Any) -> list[Entry]:
    return read_entries("default", "public", **filters)


@pytest.mark.django_db
@pytest.mark.parametrize("text", HOSTILE)
def test_every_text_arrives_as_it_is(text: str) -> None:
    author = make_run(text, reason=text)
    names = [field.name for field in dataclasses.fields(Record)]
    values: dict[str, Any] = dict.fromkeys(names, text)
    values.update(before={text: text}, after={"body": text})
    send(insertion("default", "public", author, [Record(**values)]))
    (entry,) = entries(actor=text)
    assert {name: getattr(entry, name) for name in names} == values
    assert (entry.actor, entry.reason) == (text, text)
    assert (entry.run, entry.kind, entry.verb) == (author.id, "statement", "install")
    write_started("default", "public", author, detail=text)
    assert entries(actor=text)[0].detail == text


@pytest.mark.django_db
@pytest.mark.parametrize("text", HOSTILE)
def test_texts_arrive_while_pgtrigger_adds_to_every_statement(text: str) -> None:
    author = make_run(text, reason=text)
    with pgtrigger.ignore(), pgtrigger.schema("public"):
        write_started("default", "public", author, detail=text)
        write_finished("default", "public", author, outcome="done", detail=text)
        assert [one.detail for one in entries(run=author.id, actor=text)] == [text, text]


@pytest.mark.django_db
def test_one_insert_enters_many_statements_in_their_order() -> None:
    records = [dataclasses.replace(RECORD, trigger=name) for name in "abc"]
    send(insertion("default", "public", make_run(), records))
    assert [one.trigger for one in entries()] == ["c", "b", "a"]


@pytest.mark.django_db
def test_the_search_path_of_the_moment_does_not_matter() -> None:
    run("SET LOCAL search_path = pg_catalog")
    send(insertion("default", "public", make_run(), [RECORD]))
    write_started("default", "public", make_run(), detail="")
    assert len(entries()) == 2


@pytest.mark.django_db
def test_a_schema_with_any_name_will_do() -> None:
    schema = 'Ten"ant {} 100%s'
    table = sql.Identifier(schema, "trigger_ops_ledgerentry")
    send(
        sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)),
        sql.SQL("CREATE TABLE {} (LIKE trigger_ops_ledgerentry INCLUDING ALL)").format(table),
    )
    send(insertion("default", schema, make_run(), [RECORD]))
    (entry,) = read_entries("default", schema, selectors=["shop"], verb=Verb.INSTALL)
    assert (entry.uri, entries()) == (RECORD.uri, [])


@pytest.mark.usefixtures("own_database")
def test_an_entry_dies_with_the_statements_it_was_sent_with() -> None:
    made, failing = sql.SQL("CREATE TABLE made ()"), sql.SQL("SELECT 1 / 0")
    with pytest.raises(DatabaseError):
        send(made, insertion("default", "public", make_run(), [RECORD]), failing)
    assert (entries(), run("SELECT to_regclass('made')::text")) == ([], [(None,)])
    send(made, insertion("default", "public", make_run(), [RECORD]))
    assert len(entries()) == 1
    assert run("SELECT to_regclass('made')::text") == [("made",)]


@pytest.mark.usefixtures("own_database")
def test_beginning_and_end_join_the_callers_transaction_and_stand_alone_without_one() -> None:
    author = make_run()
    with transaction.atomic():
        write_started("default", "public", author, detail="in vain")
        transaction.set_rollback(True)
    write_started("default", "public", author, detail="12 triggers")
    with transaction.atomic():
        run("SELECT 1")
        write_finished("default", "public", author, outcome="partial", detail="3 of 12")
    last, first = entries()
    assert (first.kind, first.outcome, first.detail) == ("started", "", "12 triggers")
    assert (last.kind, last.outcome, last.detail) == ("finished", "partial", "3 of 12")
    assert {last.run, first.run} == {author.id}
    assert {last.database, first.database} == {"default"}


@pytest.mark.django_db
def test_beginning_and_end_are_logged_on_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    author = make_run("eve\nforged", reason="release\nforged", verb=Verb.PRUNE)
    with caplog.at_level(logging.INFO, logger="trigger_ops"):
        write_started("default", "public", author, detail="")
        write_finished("default", "public", author, outcome="done", detail="")
    first, last = caplog.messages
    for line in (first, last):
        assert "\n" not in line
        assert {str(author.id), "prune", '"default",'} <= set(line.split())
        assert "eve" in line
        assert "release" in line
    assert "started" in first
    assert last.endswith("done")


# Reading ---------------------------------------------------------------------------------------


@pytest.fixture
def history(db: None) -> dict[str, uuid.UUID]:
    """Two runs: ada's install of two triggers, and bob's disable of one."""
    ada = make_run("ada")
    bob = make_run("bob", verb=Verb.DISABLE)
    write_started("default", "public", ada, detail="")
    uris = ["shop.Order:protect", "shop.OrderLine:audit", "shopping.Cart:protect", ""]
    records = [dataclasses.replace(RECORD, uri=uri) for uri in uris]
    send(insertion("default", "public", ada, records))
    write_finished("default", "public", ada, outcome="done")
    send(insertion("default", "public", bob, [RECORD]))
    return {"ada": ada.id, "bob": bob.id}


ORDER, LINE, CART = "shop.Order:protect", "shop.OrderLine:audit", "shopping.Cart:protect"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [ORDER, "", "", CART, LINE, ORDER, ""]),
        ({"limit": 2}, [ORDER, ""]),
        ({"limit": 0}, []),
        ({"actor": "bob"}, [ORDER]),
        ({"actor": "bo"}, []),
        ({"verb": Verb.INSTALL, "kind": Kind.STATEMENT}, ["", CART, LINE, ORDER]),
        ({"kind": Kind.STARTED}, [""]),
        ({"kind": Kind.FINISHED}, [""]),
        ({"verb": Verb.DISABLE}, [ORDER]),
        ({"verb": Verb.PRUNE}, []),
        ({"selectors": [ORDER]}, [ORDER, ORDER]),
        ({"selectors": ["shop"]}, [ORDER, LINE, ORDER]),
        ({"selectors": ["shop.Order"]}, [ORDER, ORDER]),
        ({"selectors": ["shop*"], "actor": "ada"}, [CART, LINE, ORDER]),
        ({"selectors": ["*:protect"]}, [ORDER, CART, ORDER]),
        ({"selectors": [LINE, "shopping"]}, [CART, LINE]),
        ({"selectors": ["nothing"]}, []),
        ({"selectors": ["shop"], "limit": 1}, [ORDER]),
    ],
    ids=str,
)
@pytest.mark.usefixtures("history")
def test_entries_are_found_newest_first(filters: dict[str, Any], expected: list[str]) -> None:
    assert [one.uri for one in entries(**filters)] == expected


def test_entries_are_found_by_run_and_by_time(history: dict[str, uuid.UUID]) -> None:
    assert {one.actor for one in entries(run=history["bob"])} == {"bob"}
    assert len(entries(run=history["ada"])) == 6
    moments = [one.at for one in entries()]
    assert moments == sorted(moments, reverse=True)
    assert [one.at for one in entries(since=moments[1])] == moments[:2]
    assert entries(since=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)) == []


@pytest.mark.parametrize("selector", [
    "shop", "past", "past.Invoice", "past.Invoice:protect_deletes", "past.*", "past.*:read_*",
    "*:protect_deletes", "p?st", "[pa]*", "Past", "past.invoice", "past.Invoice:", ":", "",
])  # as a table  # fmt: skip
def test_a_selector_means_in_the_ledger_what_it_means_in_the_registry(selector: str) -> None:
    triggers = registered_triggers()
    expected = [one.uri for one in triggers if registry_selectors.matches(one, selector)]
    assert [one.uri for one in triggers if matches(one.uri, selector)] == expected


@pytest.mark.usefixtures("own_database")
def test_it_is_told_how_long_each_statement_took() -> None:
    author, other = make_run(), make_run()
    nap = sql.SQL("SELECT pg_sleep(0.05)")
    with transaction.atomic():
        run("SELECT pg_sleep(0.1)")
        send(insertion("default", "public", author, [RECORD]))
        send(nap, insertion("default", "public", other, [RECORD]))
        send(nap, insertion("default", "public", author, [RECORD]))
    run("SELECT pg_sleep(0.2)")
    write_finished("default", "public", author, outcome="done")
    finished, second, of_other, first = [one.took_ms for one in entries()]
    assert 100 <= first < of_other
    assert of_other >= 150
    assert 100 <= second < of_other
    assert finished < 100
    (alone,) = entries(kind=Kind.FINISHED)
    assert alone.took_ms == finished
    assert [one.took_ms for one in entries(limit=2)] == [finished, second]


@pytest.mark.parametrize("aware", [True, False])
def test_times_are_moments_whatever_the_project_makes_of_time_zones(
    own_database: BaseDatabaseWrapper, settings: Any, aware: bool
) -> None:
    settings.USE_TZ = aware
    settings.TIME_ZONE = "Asia/Kathmandu"
    name = connections["default"].settings_dict["NAME"]
    before = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=60)
    with default_at(NAME=name):
        write_started("default", "public", make_run())
        (entry,) = entries(since=before)
    assert entry.at.utcoffset() == dt.timedelta()
    assert before < entry.began <= entry.at < before + dt.timedelta(seconds=120)
