"""Terminal colours: which word has which. Whether to use any is the caller's decision."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping, Sequence

from trigger_ops.rendering.wording import printable
from trigger_ops.states import Enabled, Level, Result, Status

# The numbers are SGR parameters. Those of the stock command's words are the stock command's.
RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN = 91, 92, 93, 94, 95, 96

STATUS_COLOURS: Mapping[Status, int] = {
    Status.INSTALLED: GREEN,
    Status.OUTDATED: YELLOW,
    Status.UNINSTALLED: RED,
    Status.PRUNE: CYAN,
    Status.UNALLOWED: BLUE,
    Status.TAMPERED: RED,
    Status.FOREIGN: CYAN,
    Status.UNKNOWN: MAGENTA,
}
ENABLED_COLOURS: Mapping[Enabled, int] = {
    Enabled.ENABLED: GREEN,
    Enabled.DISABLED: RED,
    Enabled.REPLICA: RED,
    Enabled.ALWAYS: GREEN,
    Enabled.PARTIAL: YELLOW,
    Enabled.NOT_APPLICABLE: BLUE,
}
LEVEL_COLOURS: Mapping[Level, int] = {
    Level.INFO: BLUE,
    Level.WARNING: YELLOW,
    Level.ERROR: RED,
    Level.CRITICAL: RED,
}
RESULT_COLOURS: Mapping[Result, int] = {
    Result.CREATED: GREEN,
    Result.REPLACED: YELLOW,
    Result.DROPPED: CYAN,
    Result.SWITCHED: MAGENTA,
    Result.UNCHANGED: BLUE,
    Result.SKIPPED: BLUE,
    Result.FAILED: RED,
}
_RICH_NAMES = {
    RED: "bright_red",
    GREEN: "bright_green",
    YELLOW: "bright_yellow",
    BLUE: "bright_blue",
    MAGENTA: "bright_magenta",
    CYAN: "bright_cyan",
}
#: Columns of a terminal that does not say how wide it is (a pipe, a log).
FALLBACK_WIDTH = 120

Cell = tuple[str, int | None]
"""A cell's text and its colour."""


def painted(text: str, colour: int | None) -> str:
    """Return ``text`` between the codes that colour it; None leaves it as it is."""
    return text if colour is None else f"\033[{colour}m{text}\033[0m"


def drawn_table(headings: Sequence[str], rows: Sequence[Sequence[Cell]], *, colour: bool) -> str:
    """Return a box table as wide as the terminal (or ``COLUMNS``), long cells folded."""
    # Imported late: rich takes longer to load than most of what is printed without it.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(highlight=False, header_style="bold" if colour else "")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        # Text, never str: a name such as "[red]" is a name, not markup.
        table.add_row(
            *(Text(printable(text), style=_RICH_NAMES.get(code or 0, "")) for text, code in row)
        )
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=shutil.get_terminal_size((FALLBACK_WIDTH, 24)).columns,
        force_terminal=colour,
        no_color=not colour,
        color_system="standard" if colour else None,
        legacy_windows=False,
    )
    console.print(table)
    return buffer.getvalue()
