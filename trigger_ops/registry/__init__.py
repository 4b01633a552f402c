"""What the code declares: pgtrigger's registry, taken apart and compiled with care."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.apps import apps
from django.db import models, router
from pgtrigger import core, features
from pgtrigger.registry import registered

from trigger_ops.registry.definition import Definition, definition_of, split_table
from trigger_ops.registry.pausing import collector_paused

IGNORE_FUNCTION = "_pgtrigger_should_ignore"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredName:
    """What one trigger on one model is called, which takes no compiling.

    ``pgid`` is its name in PostgreSQL, or "" where the trigger cannot tell. ``kinds`` are the names
    of its class and the bases of that.
    """

    uri: str
    app_label: str
    model: str
    name: str
    kinds: frozenset[str]
    pgid: str
    table: tuple[str | None, str]
    model_class: type[models.Model] = dataclasses.field(repr=False, compare=False)

    def allowed_on(self, alias: str) -> bool:
        """Tell whether the routers let this trigger's model live on ``alias``.

        As ``pgtrigger.Trigger.allow_migrate``, without its look at the connection.
        """
        meta = self.model_class._meta.concrete_model._meta  # type: ignore[union-attr]  # a registered model is concrete
        return bool(router.allow_migrate(alias, meta.app_label, model_name=meta.model_name))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredTrigger(RegisteredName):
    """One trigger on one model.

    ``definition`` is None where the trigger cannot be compiled, and ``error`` then says why.
    """

    definition: Definition | None
    error: str | None


def registered_names() -> list[RegisteredName]:
    """Return what every registered trigger is called, in registry order."""
    return [RegisteredName(**_named(model, trigger)[0]) for model, trigger in registered()]


def registered_triggers() -> list[RegisteredTrigger]:
    """Return every registered trigger, in registry order. One bad trigger ends nothing."""
    with collector_paused():
        return [_registered(model, trigger) for model, trigger in registered()]


def _registered(model: Any, trigger: core.Trigger) -> RegisteredTrigger:
    names, error = _named(model, trigger)
    definition = None
    if error is None:
        try:
            definition = definition_of(trigger.compile(model).sql)
        except Exception as problem:  # noqa: BLE001 - compile() runs user code: any error is a finding
            error = _sentence(problem)
    return RegisteredTrigger(**names, definition=definition, error=error)


def _named(model: Any, trigger: core.Trigger) -> tuple[dict[str, Any], str | None]:
    """Return the fields of a name, and why it has no ``pgid`` if it has none."""
    pgid, error = "", None
    try:
        pgid = trigger.get_pgid(model)
    except Exception as problem:  # noqa: BLE001 - user code too
        error = _sentence(problem)
    names = {
        "uri": trigger.get_uri(model),
        "app_label": model._meta.app_label,
        "model": model._meta.object_name,
        "name": str(trigger.name),
        "kinds": frozenset(base.__name__ for base in type(trigger).__mro__),
        "pgid": pgid,
        "table": split_table(model._meta.db_table),
        "model_class": model,
    }
    return names, error


def _sentence(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}".splitlines()[0]


def project_tables() -> frozenset[tuple[str | None, str]]:
    """Return (schema or None, table) of every model of the project, registered or not."""
    return frozenset(
        split_table(model._meta.db_table) for model in apps.get_models(include_auto_created=True)
    )


def ignore_function_schema() -> str | None:
    """Return the schema that ``PGTRIGGER_SCHEMA`` puts the shared ignore function in."""
    return features.schema() or None  # type: ignore[no-untyped-call]  # pgtrigger's features have no hints
