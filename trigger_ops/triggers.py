"""Triggers for ``Meta.triggers`` that pgtrigger has no class for.

Migrations hold the compiled SQL and nothing of this module, so they outlive it.
"""

from __future__ import annotations

import pgtrigger


class ProtectTruncate(pgtrigger.Trigger):
    """Refuse TRUNCATE, which no row trigger sees.

    The exception is the one that ``pgtrigger.Protect`` raises, with TRUNCATE's word in it, and
    ``pgtrigger.ignore`` lets the statement through.

    An empty table is refused as well. Whether a table is empty cannot be asked safely here: an
    older snapshot or row security would hide rows that TRUNCATE removes all the same.
    """

    name = "protect_truncates"
    level = pgtrigger.Statement
    when = pgtrigger.Before
    operation = pgtrigger.Truncate
    func = "RAISE EXCEPTION 'pgtrigger: Cannot truncate rows from % table', TG_TABLE_NAME;"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)
