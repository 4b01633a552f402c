"""What ``ls`` prints: text as the stock command's, a box table, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence

from trigger_ops.drift import Listing
from trigger_ops.inspection import InspectedTrigger
from trigger_ops.rendering.colour import (
    ENABLED_COLOURS,
    STATUS_COLOURS,
    Cell,
    drawn_table,
    painted,
)
from trigger_ops.rendering.wording import aligned, printable
from trigger_ops.states import Status

#: Columns that stand after the stock three, by name.
EXTRA_COLUMNS = ("database", "schema", "table", "facets", "reason")
_HEADINGS = ("status", "enabled", "uri", *EXTRA_COLUMNS)
_CSV_COLUMNS = (
    "uri",
    "database",
    "schema",
    "table",
    "trigger",
    "status",
    "enabled",
    "facets",
    "registered_hash",
    "installed_hash",
    "reason",
)
#: What a spreadsheet takes for the beginning of a formula.
_FORMULA_STARTS = ("=", "+", "-", "@")


def as_text(triggers: Sequence[InspectedTrigger], *, extra: Collection[str], colour: bool) -> str:
    """Return one line a trigger: status, enabled, URI and the ``extra`` columns, lined up.

    With no extra column and no colour this is the stock command's output without its codes.
    """
    if not triggers:
        return ""
    columns = [name for name in EXTRA_COLUMNS if name in extra]
    rows = [[one.status.value, one.enabled.value, *_tail(one, columns)] for one in triggers]
    lines = aligned(rows)
    if colour:
        lines = [_coloured(line, one) for line, one in zip(lines, triggers, strict=True)]
    return "\n".join(lines)


def as_table(listing: Listing, *, colour: bool) -> str:
    """Return a box table of every trigger, foreign ones included; nothing for no trigger."""
    if not listing.triggers:
        return ""
    headings = [name.upper() for name in _HEADINGS]
    return drawn_table(headings, [_cells(one) for one in listing.triggers], colour=colour)


def as_csv(triggers: Sequence[InspectedTrigger]) -> str:
    """Return CSV with a heading line. No cell can start a formula in a spreadsheet.

    Invisible characters are spelled out, line feeds apart: JSON has the exact names.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    writer.writerows(
        [defused(printable(_value(one, name), keep="\n")) for name in _CSV_COLUMNS]
        for one in triggers
    )
    return buffer.getvalue()


def shown_in_text(
    triggers: Sequence[InspectedTrigger], statuses: Collection[Status]
) -> list[InspectedTrigger]:
    """Leave foreign triggers out, as the stock command does, unless they were asked for."""
    return [
        one for one in triggers if one.status is not Status.FOREIGN or Status.FOREIGN in statuses
    ]


def defused(cell: str) -> str:
    """Return a CSV cell that a spreadsheet takes for text whatever it begins with."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def _tail(one: InspectedTrigger, columns: Sequence[str]) -> list[str]:
    # A dash keeps the columns apart for whoever splits lines at blanks.
    cells = [printable(_value(one, name)) or "-" for name in columns]
    return [printable(one.uri), *cells]


def _value(one: InspectedTrigger, name: str) -> str:
    if name == "facets":
        return ",".join(facet.value for facet in one.facets)
    return str(getattr(one, name) or "")


def _coloured(line: str, one: InspectedTrigger) -> str:
    status, enabled = one.status.value, one.enabled.value
    rest = line.removeprefix(status)
    gap = len(rest) - len(rest.lstrip())
    return "".join(
        (
            painted(status, STATUS_COLOURS[one.status]),
            rest[:gap],
            painted(enabled, ENABLED_COLOURS[one.enabled]),
            rest[gap + len(enabled) :],
        )
    )


def _cells(one: InspectedTrigger) -> list[Cell]:
    return [
        (one.status.value, STATUS_COLOURS[one.status]),
        (one.enabled.value, ENABLED_COLOURS[one.enabled]),
        *((_value(one, name), None) for name in ("uri", *EXTRA_COLUMNS)),
    ]
