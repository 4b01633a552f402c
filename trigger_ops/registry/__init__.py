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
class RegisteredTrigger:
    """One trigger on one model.

    ``definition`` is None where the trigger cannot be compiled, and ``error`` then says why.
    ``kinds`` are the names of the trigger's class and its bases.
    """

    uri: str
    app_label: str
    model: str
    name: str
    kinds: frozenset[str]
    pgid: str
    table: tuple[str | None, str]
    definition: Definition | None
    error: str | None
    model_class: type[models.Model] = dataclasses.field(repr=False, compare=False)

    def allowed_on(self, alias: str) -> bool:
        """Tell whether the routers let this trigger's model live on ``alias``.

        As ``pgtrigger.Trigger.allow_migrate``, without its look at the connection.
        """
        meta = self.model_class._meta.concrete_model._meta  # type: ignore[union-attr]  # a registered model is concrete
        return bool(router.allow_migrate(alias, meta.app_label, model_name=meta.model_name))


def registered_triggers() -> list[RegisteredTrigger]:
    """Return every registered trigger, in registry order. One bad trigger ends nothing."""
    with collector_paused():
        return [_registered(model, trigger) for model, trigger in registered()]


def _registered(model: Any, trigger: core.Trigger) -> RegisteredTrigger:
    definition, error, pgid = None, None, ""
    try:
        pgid = trigger.get_pgid(model)
        definition = definition_of(trigger.compile(model).sql)
    except Exception as problem:  # noqa: BLE001 - compile() runs user code: any error is a finding
        error = f"{type(problem).__name__}: {problem}".splitlines()[0]
    return RegisteredTrigger(
        uri=trigger.get_uri(model),
        app_label=model._meta.app_label,
        model=model._meta.object_name,
        name=str(trigger.name),
        kinds=frozenset(base.__name__ for base in type(trigger).__mro__),
        pgid=pgid,
        table=split_table(model._meta.db_table),
        definition=definition,
        error=error,
        model_class=model,
    )


def project_tables() -> frozenset[tuple[str | None, str]]:
    """Return (schema or None, table) of every model of the project, registered or not."""
    return frozenset(
        split_table(model._meta.db_table) for model in apps.get_models(include_auto_created=True)
    )


def ignore_function_schema() -> str | None:
    """Return the schema that ``PGTRIGGER_SCHEMA`` puts the shared ignore function in."""
    return features.schema() or None  # type: ignore[no-untyped-call]  # pgtrigger's features have no hints
