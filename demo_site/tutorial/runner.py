"""Runs examples and constructs, and says what came of them beside what had to."""

from __future__ import annotations

import contextlib
import difflib
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from django.core.management import call_command
from django.db import DatabaseError, connection, models, transaction
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from django.db.models import QuerySet

from demo_site.tutorial.changes import Action, Change
from demo_site.tutorial.constructs import CONSTRUCTS, Construct
from demo_site.tutorial.examples import EXAMPLES, Example
from demo_site.tutorial.models import CannotDelete

#: Whatever the tutorial can run, in its order.
ENTRIES: tuple[Example | Construct, ...] = (*EXAMPLES, *CONSTRUCTS)


@dataclass(frozen=True)
class Outcome:
    """What an example or a construct had to print or do, and what it did."""

    name: str
    title: str
    expected: str
    actual: str
    note: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether both are the same, whatever ids the rows have."""
        return _without_ids(self.expected) == _without_ids(self.actual)


class UnknownName(Exception):
    """No example and no construct has this name."""

    exit_code = 2

    def __init__(self, name: str) -> None:
        folded = {entry.name.lower(): entry.name for entry in ENTRIES}
        near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.0)
        super().__init__(f"There is no example {name!r}; the nearest is {folded[near[0]]}.")


class CannotRun(Exception):
    """Examples cannot run here. The message says why."""

    exit_code = 4


def select(names: Iterable[str]) -> list[Example | Construct]:
    """Return the examples and constructs of these names, in order; without names, all.

    Raises :class:`UnknownName` for the first name that is none.
    """
    entries = {entry.name: entry for entry in ENTRIES}
    wanted = list(names)
    for name in wanted:
        if name not in entries:
            raise UnknownName(name)
    return [entry for entry in entries.values() if not wanted or entry.name in wanted]


def run(entries: Iterable[Example | Construct]) -> Iterator[Outcome]:
    """Run examples and constructs, one after the other, in the database ``default``.

    Examples leave their rows behind, as they do in the tutorial. Constructs leave nothing.
    Raises :class:`CannotRun` with psycopg 3, where the tables are missing, and inside
    ``transaction.atomic``, whose caller would lose everything to the first error of an example.
    """
    if is_psycopg3:
        raise CannotRun(
            "The tutorial catches InternalError, which psycopg 3 does not raise:"
            " run TRIGGER_OPS_DRIVER=psycopg2 manage.py tutorial."
        )
    if connection.in_atomic_block:
        raise CannotRun("The tutorial cannot run inside a transaction.")
    if CannotDelete._meta.db_table not in connection.introspection.table_names():
        raise CannotRun("The tables of the tutorial are missing: run manage.py migrate first.")
    for entry in entries:
        yield run_example(entry) if isinstance(entry, Example) else run_construct(entry)


def run_example(example: Example) -> Outcome:
    """Run a snippet as ``manage.py shell -c`` does. An error is its message's first line."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            call_command("shell", command=example.snippet, verbosity=0)
        except DatabaseError as error:
            printed.write(_first_line(error))
        except Exception as error:  # noqa: BLE001 (a snippet may raise anything: it is shown)
            printed.write(f"{error!r}\n")
    return Outcome(example.name, example.name, example.output, printed.getvalue())


def run_construct(construct: Construct) -> Outcome:
    """Do all changes of a construct, each in a transaction that is rolled back."""
    try:
        fired = [change.name for change in construct.changes if _fires(construct, change)]
        actual = construct.describe(fired)
    except DatabaseError as error:
        actual = _first_line(error)
    return Outcome(
        name=construct.name,
        title=f"{construct.name}: {construct.code}",
        expected=construct.describe(construct.fires),
        actual=actual,
        note=construct.note,
    )


def _fires(construct: Construct, change: Change | Action) -> bool:
    with transaction.atomic():
        before = _count(construct.log)
        refused = _refused(lambda: change(construct.model))
        fired = refused or _count(construct.log) > before
        transaction.set_rollback(True)
    return fired


def _refused(act: Callable[[], None]) -> bool:
    """Tell whether a trigger's error ended the act. Any other error is raised."""
    try:
        with transaction.atomic():
            act()
    except DatabaseError as error:
        if not str(error).startswith("pgtrigger: "):
            raise
        return True
    return False


def _count(model: type[models.Model] | None) -> int:
    return QuerySet(model).count() if model else 0


def _first_line(error: Exception) -> str:
    return f"{str(error).partition(chr(10))[0]}\n"


def _without_ids(text: str) -> str:
    return re.sub(r"object \(\d+\)", "object (…)", text)
