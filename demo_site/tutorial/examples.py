"""The tutorial's examples: what to run in ``manage.py shell -c``, and what it prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SNIPPETS = Path(__file__).resolve().parent / "snippets"


@dataclass(frozen=True)
class Example:
    """One example of the tutorial, named like its model. Its texts are files in ``snippets``."""

    name: str

    @property
    def snippet(self) -> str:
        """Return the Python code, as the tutorial prints it."""
        return (SNIPPETS / f"{self.name}.snippet").read_text(encoding="utf-8")

    @property
    def output(self) -> str:
        """Return what the tutorial says is printed. Of an error, the message alone."""
        return (SNIPPETS / f"{self.name}.out").read_text(encoding="utf-8")


#: In the tutorial's order.
EXAMPLES = tuple(
    map(
        Example,
        [
            "CannotDelete",
            "AppendOnly",
            "ReadOnlyField",
            "ReadOnlyFields",
            "SoftDelete",
            "Versioned",
            "OfficialInterface",
            "FSM",
            "Tracked",
        ],
    )
)
