"""Every file in ``flagged`` is a way round, every file in ``allowed`` is ordinary work.

A file says in its head which policy and which session there are, and what is to come of it; see
:class:`tests.tampering.world.Outcome`. What is between `-- next` lines is one message to the server.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.database.acts import Connect
from tests.tampering.world import Case, World

HERE = Path(__file__).parent


def files(folder: str) -> list[Path]:
    found = sorted((HERE / folder).iterdir())
    return [one for one in found if one.suffix in (".sql", ".py") and one.stem != "__init__"]


FLAGGED, ALLOWED = files("flagged"), files("allowed")


def carry_out(path: Path, own: BaseDatabaseWrapper, connect: Connect) -> None:
    case = Case(path)
    world, refusals = World(own, connect, case), list[str]()
    try:
        with world.attempt(refusals):
            if path.suffix == ".sql":
                world.run(path.read_text("utf-8"))
            else:
                module = importlib.import_module(f"tests.tampering.{path.parent.name}.{path.stem}")
                module.attack(world)
        assert world.outcome("".join(refusals)) == case.expected
    finally:
        world.tidy()


@pytest.mark.parametrize("path", FLAGGED, ids=lambda path: path.name)
def test_no_way_round_goes_unnoticed(
    guarded: BaseDatabaseWrapper, second_connection: Connect, path: Path
) -> None:
    carry_out(path, guarded, second_connection)


@pytest.mark.parametrize("path", ALLOWED, ids=lambda path: path.name)
def test_ordinary_work_leaves_no_trace(
    guarded: BaseDatabaseWrapper, second_connection: Connect, path: Path
) -> None:
    carry_out(path, guarded, second_connection)


def test_every_file_says_what_is_to_come_of_it() -> None:
    assert len(FLAGGED) >= 30
    assert len(ALLOWED) >= 8
    for path in (*FLAGGED, *ALLOWED):
        expected = Case(path).expected
        assert not (expected.refused and expected.changed), path.name
    for path in ALLOWED:
        expected = Case(path).expected
        told = (expected.refused, expected.unattributed, expected.decisions, expected.guard)
        assert told == ("", 0, 0, 0), path.name
