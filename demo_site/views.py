"""The front page, and what comes of running an example of it."""

from __future__ import annotations

import functools
import inspect
import threading
from dataclasses import dataclass

import pgtrigger
from django.db import DatabaseError, InterfaceError, models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from demo_site.commands_to_try import COMMANDS
from demo_site.tutorial import models as tutorial
from demo_site.tutorial.constructs import Construct
from demo_site.tutorial.examples import Example
from demo_site.tutorial.runner import ENTRIES, CannotRun, Outcome, UnknownName, run, select

# While an example runs, whatever the process prints is its output.
_running = threading.Lock()


@dataclass(frozen=True)
class Row:
    """One trigger of the site."""

    model: str
    uri: str
    purpose: str
    sql: str


@dataclass(frozen=True)
class Card:
    """One example of the documents: what it declares, what it runs and what has to come of it."""

    name: str
    title: str
    purpose: str
    note: str
    source: str
    snippet: str
    expected: str
    triggers: tuple[Row, ...]
    admin: str


@require_safe
def front_page(request: HttpRequest) -> HttpResponse:
    """Show every example, what the site holds, where the admin is, and which commands to try."""
    found = [(entry, card) for entry, card in zip(ENTRIES, cards(), strict=True)]
    groups = {
        "The tutorial": [card for entry, card in found if isinstance(entry, Example)],
        "Conditional triggers": [card for entry, card in found if isinstance(entry, Construct)],
    }
    return render(
        request,
        "demo_site/front_page.html",
        {"groups": groups, "rows": rows(), "commands": COMMANDS},
    )


@require_POST
def run_example(request: HttpRequest, name: str = "") -> HttpResponse:
    """Run one example, or all, and show what came of it beside what had to."""
    title = f"{name}, run" if name else "All examples, run"
    try:
        entries = select([name] if name else [])
        with _running:
            outcomes = list(run(entries))
    except UnknownName as error:
        return _sentence(request, str(error), 404)
    except CannotRun as error:
        return _sentence(request, str(error), 409)
    except (DatabaseError, InterfaceError):
        return _sentence(
            request, "The database does not answer. Start it, then run it again.", 503
        )
    return render(
        request,
        "demo_site/outcome.html",
        {
            "title": title,
            "name": name,
            "results": _results(outcomes),
            "verdict": _verdict(outcomes),
        },
    )


@functools.cache
def rows() -> tuple[Row, ...]:
    """Return every trigger of the site."""
    return tuple(
        Row(
            model=str(model._meta.object_name),
            uri=trigger.get_uri(model),
            purpose=(inspect.getdoc(model) or "").partition("\n")[0],
            sql=_own_sql(trigger.compile(model)),
        )
        for model, trigger in pgtrigger.registered()
    )


def _own_sql(trigger: pgtrigger.compiler.Trigger) -> str:
    """Return what installs a trigger, but for the function that it shares with all others."""
    statements = trigger.install_sql
    start = statements.find(f"CREATE OR REPLACE FUNCTION {trigger.sql.pgid}()")
    lines = [line.rstrip() for line in statements[max(start, 0) :].strip().splitlines()]
    return "\n".join(line for line in lines if line)


@functools.cache
def cards() -> tuple[Card, ...]:
    """Return every example, in the order of the documents."""
    return tuple(_card(entry) for entry in ENTRIES)


def _card(entry: Example | Construct) -> Card:
    model: type[models.Model] = (
        getattr(tutorial, entry.name) if isinstance(entry, Example) else entry.model
    )
    label = model._meta.label
    return Card(
        name=entry.name,
        title=entry.name if isinstance(entry, Example) else entry.code,
        purpose=(inspect.getdoc(model) or "").partition("\n")[0],
        note="" if isinstance(entry, Example) else entry.note,
        source=inspect.getsource(model),
        snippet=entry.snippet if isinstance(entry, Example) else "",
        expected=entry.output if isinstance(entry, Example) else entry.describe(entry.fires),
        triggers=tuple(row for row in rows() if row.uri.partition(":")[0] == label),
        admin=f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist",
    )


def _results(outcomes: list[Outcome]) -> list[tuple[Card, Outcome]]:
    known = {card.name: card for card in cards()}
    return [(known[outcome.name], outcome) for outcome in outcomes]


def _verdict(outcomes: list[Outcome]) -> str:
    different = [outcome.name for outcome in outcomes if not outcome.ok]
    if not different:
        return "" if len(outcomes) == 1 else f"All {len(outcomes)} examples did what they should."
    return (
        f"{', '.join(different)}: not what the documents say. Something may have been done to the "
        "triggers: manage.py pgtrigger ls tutorial says what."
    )


def _sentence(request: HttpRequest, sentence: str, status: int) -> HttpResponse:
    return render(
        request,
        "demo_site/outcome.html",
        {"title": "This did not run", "sentence": sentence},
        status=status,
    )
