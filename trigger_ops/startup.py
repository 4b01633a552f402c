"""Indexes for pgtrigger's registry while Django starts.

The library's registry computes two look-up tables anew for every trigger it registers, so that
start-up time grows with the square of the number of triggers, in every process. Here both tables
are kept from one registration to the next, but only until Django is ready: from then on the
library's own code runs unchanged.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pgtrigger
from django.apps import apps
from django.utils.version import get_version_tuple
from pgtrigger import registry
from pgtrigger.registry import _Registry

from trigger_ops import conf

#: Library versions whose registry these indexes fit: the first one, and the first one beyond.
TESTED_FROM, TESTED_BELOW = (4, 15), (4, 18)

#: A model class and its trigger (the library's own hints call the class a ``Model``).
Entry = tuple[Any, pgtrigger.Trigger]
#: The trigger of each table and trigger name.
Tables = dict[tuple[str, str | None], pgtrigger.Trigger]


class FastRegistry(_Registry):
    """pgtrigger's registry, with two live indexes until Django is ready.

    Every rule, message and side effect is the library's: its methods are called, never copied.
    """

    # Class attributes, because an instance gets this class after it was made (see `install`).
    _tables: Tables | None = None
    _function_names: set[str] | None = None

    @property
    def by_db_table(self) -> Tables:
        """Return the registered trigger of each ``(db_table, trigger name)``."""
        if self._tables is not None and not apps.ready:
            return self._tables
        tables: Tables = super().by_db_table
        self._tables = None if apps.ready else tables
        return tables

    @property
    def pg_function_names(self) -> set[str]:
        """Return the PostgreSQL function names (pgids) of all registered triggers."""
        if self._function_names is not None and not apps.ready:
            return self._function_names
        names: set[str] = super().pg_function_names
        self._function_names = None if apps.ready else names
        return names

    def __setitem__(self, uri: str, entry: Entry) -> None:
        """Register ``(model, trigger)`` under its URI.

        Raises the library's own ``KeyError`` where the name or the function name is taken.
        """
        if not apps.ready:
            with contextlib.suppress(KeyError):
                super().__setitem__(uri, entry)  # type: ignore[no-untyped-call]  # pgtrigger's registry has no hints
                self._index(*entry)
                return
        # Past start-up, or refused. A refusal is only believed without the indexes: a table that
        # was renamed since its triggers were registered must not become an error.
        self._drop_indexes()
        super().__setitem__(uri, entry)  # type: ignore[no-untyped-call]  # pgtrigger's registry has no hints

    def __delitem__(self, uri: str) -> None:
        """Unregister a URI. The indexes are made again when they are needed again."""
        self._drop_indexes()
        super().__delitem__(uri)  # type: ignore[no-untyped-call]  # pgtrigger's registry has no hints

    def _index(self, model: Any, trigger: pgtrigger.Trigger) -> None:
        if self._tables is not None:
            self._tables[model._meta.db_table, trigger.name] = trigger
        if self._function_names is not None:
            self._function_names.add(trigger.get_pgid(model))

    def _drop_indexes(self) -> None:
        self._tables = self._function_names = None


def fits(version: str) -> bool:
    """Tell whether this version of django-pgtrigger has the registry that was tested here."""
    return TESTED_FROM <= get_version_tuple(version)[:2] < TESTED_BELOW


def install_fast_registry() -> bool:
    """Give pgtrigger's registry its indexes; tell whether it has them.

    To be called before any models module loads. Nothing is touched when the setting
    ``TRIGGER_OPS["FAST_REGISTRY"]`` is off, when the library's version is not a tested one, or
    when something else has already replaced the registry.
    """
    live: Any = registry._registry  # noqa: SLF001 - pgtrigger has no other way to its registry
    if type(live) is _Registry and conf.fast_registry() and fits(pgtrigger.__version__):
        # The object stays the same one, so that nobody is left holding a registry of the past.
        live.__class__ = FastRegistry
    return isinstance(live, FastRegistry)
