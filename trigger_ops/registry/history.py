"""The third leg: what the migrations say each trigger is, or once was."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from pgtrigger import compiler, features

from trigger_ops.registry import RegisteredTrigger
from trigger_ops.registry.definition import Definition, definition_of
from trigger_ops.registry.pausing import collector_paused

Migration = tuple[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class History:
    """What migrations on disk say about triggers, by pgid.

    ``applied`` is the state at the applied migrations, ``ever`` every form that any migration
    ever gave a trigger, ``apps`` the labels that have migrations at all, ``models`` the (app
    label, lower-case name) of every model that the applied migrations made.
    """

    applied: dict[str, Definition]
    ever: dict[str, tuple[Definition, ...]]
    apps: frozenset[str]
    models: frozenset[tuple[str, str]] = frozenset()

    def covers(self, app_label: str) -> bool:
        """Tell whether migrations can say anything about an app's triggers."""
        return app_label in self.apps

    def made(self, trigger: RegisteredTrigger) -> bool:
        """Tell whether the applied migrations made the trigger's model.

        Tables of many-to-many fields are made with another model, those of unmanaged models by
        somebody else, so they always count.
        """
        meta = trigger.model_class._meta
        made_elsewhere = bool(meta.auto_created) or not meta.managed
        return made_elsewhere or (meta.app_label, str(meta.model_name)) in self.models


class MigrationFiles:
    """The migrations on disk, loaded once and asked for several databases' applied states."""

    def __init__(self) -> None:
        self._loader = MigrationLoader(None, ignore_no_migrations=True)
        forms: defaultdict[str, list[Definition]] = defaultdict(list)
        for migration in self._loader.disk_migrations.values():
            for compiled in _compiled_triggers(migration.operations):
                definition = definition_of(compiled.sql)
                forms[definition.pgid].append(definition)
        self._ever = {pgid: tuple(found) for pgid, found in forms.items()}
        self._states: dict[frozenset[Migration], History] = {}

    def history(self, applied: Collection[Migration]) -> History:
        """Return the history as a database sees it that has applied these migrations."""
        key = frozenset(applied)
        if key not in self._states:
            state = self._state(set(applied))
            self._states[key] = History(
                applied={
                    definition.pgid: definition
                    for model in state.models.values()
                    for definition in _definitions(model.options.get("triggers", ()))
                },
                ever=self._ever,
                apps=frozenset(self._loader.migrated_apps),
                models=frozenset(state.models),
            )
        return self._states[key]

    def _state(self, applied: set[Migration]) -> ProjectState:
        for key, squashed in self._loader.replacements.items():
            if squashed.replaces and all(tuple(one) in applied for one in squashed.replaces):
                applied.add(key)
        nodes = self._loader.graph.nodes
        known = {key for key in applied if key in nodes}
        parents = {
            parent.key for key in known for parent in self._loader.graph.node_map[key].parents
        }
        leaves = sorted(known - parents)
        return self._loader.project_state(leaves)


def load_migrations() -> MigrationFiles | None:
    """Load the migrations, or None where pgtrigger keeps triggers out of them."""
    if not features.migrations():  # type: ignore[no-untyped-call]  # pgtrigger's features have no hints
        return None
    with collector_paused():
        return MigrationFiles()


def _definitions(triggers: Iterable[Any]) -> Iterator[Definition]:
    for trigger in triggers:
        if isinstance(trigger, compiler.Trigger):
            yield definition_of(trigger.sql)


def _compiled_triggers(operations: Iterable[Any]) -> Iterator[compiler.Trigger]:
    for operation in operations:
        for nested in ("state_operations", "database_operations"):
            yield from _compiled_triggers(getattr(operation, nested, ()))
        candidates = [
            getattr(operation, "trigger", None),
            *(getattr(operation, "options", None) or {}).get("triggers", ()),
        ]
        yield from (one for one in candidates if isinstance(one, compiler.Trigger))
