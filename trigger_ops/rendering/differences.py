"""What ``diff`` prints: a unified diff, registered against installed, one hunk a facet."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from trigger_ops.inspection import InspectedTrigger
from trigger_ops.rendering.colour import CYAN, GREEN, RED, painted
from trigger_ops.rendering.facets import MULTILINE, facet_sides
from trigger_ops.rendering.wording import place, printable
from trigger_ops.states import Facet, Verdict

_NOTES = {
    Verdict.PENDING: "a migration that is not applied yet brings it",
    Verdict.AHEAD: "ahead of the applied migrations",
    Verdict.ORPHANED: "not in the code",
    Verdict.MISSING: "not installed",
}


def as_diff(triggers: Sequence[InspectedTrigger], *, colour: bool) -> str:
    """Return the unified diffs of the triggers that differ; nothing where nothing differs."""
    lines = [line for one in triggers for line in _lines(one)]
    return "\n".join(_painted(line) for line in lines) if colour else "\n".join(lines)


def hunk(facet: Facet, registered: str, installed: str) -> list[str]:
    """Return one facet's hunk, its whole text as context. Invisible characters are spelled out.

    Lines are split at line feeds alone and nothing is trimmed, so that two texts that differ
    never look the same.
    """
    before, after = _side(facet, registered), _side(facet, installed)
    span = len(before) + len(after)
    diff = list(difflib.unified_diff(before, after, n=span, lineterm=""))
    if not diff:
        return []
    return [f"{diff[2]} {facet.value}", *diff[3:]]


def _side(facet: Facet, text: str) -> list[str]:
    if not text:
        return []
    if facet in MULTILINE:
        return [printable(line, keep="\t") for line in text.split("\n")]
    return [f"{facet.value}: {printable(text)}"]


def _lines(one: InspectedTrigger) -> Iterator[str]:
    uri = printable(one.uri)
    where = printable(place(one.database, one.schema, one.table))
    note = printable(one.reason) or _NOTES.get(one.verdict, "")
    yield f"--- registered {uri}"
    yield f"+++ installed {uri} ({where})" + (f": {note}" if note else "")
    for facet, registered, installed in facet_sides(one):
        yield from hunk(facet, registered, installed)


def _painted(line: str) -> str:
    if line.startswith(("---", "+++")):
        return painted(line, 1)
    colours = {"-": RED, "+": GREEN, "@": CYAN}
    return painted(line, colours.get(line[:1]))
