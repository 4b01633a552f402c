"""Filters of our lists that offer nothing but what occurs."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from django.contrib.admin import SimpleListFilter
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from trigger_ops.models import FindingEvent
from trigger_ops.rendering.wording import printable
from trigger_ops.web.columns import Words

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.contrib.admin.views.main import ChangeList

Rows = models.QuerySet[Any]

MOST = 100
"""So many values are offered at most."""


def occurring(field: str, title: Words) -> type[SimpleListFilter]:
    """Return a filter by the values that a field has."""

    class Occurring(SimpleListFilter):
        parameter_name = field

        def lookups(
            self, request: HttpRequest, model_admin: ModelAdmin[Any]
        ) -> Iterable[tuple[Any, str]]:
            rows = model_admin.get_queryset(request).exclude(**{field: ""})
            values = rows.order_by(field).values_list(field, flat=True).distinct()
            return [(value, printable(str(value))) for value in values[:MOST]]

        def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
            return queryset if self.value() is None else _having(queryset, field, self.value())

    Occurring.title = title
    return Occurring


def choosing(
    parameter: str, title: Words, choices: dict[str, tuple[Words, Q]]
) -> type[SimpleListFilter]:
    """Return a filter by conditions; those that hold for no row are not offered."""

    class Choosing(SimpleListFilter):
        parameter_name = parameter

        def lookups(
            self, request: HttpRequest, model_admin: ModelAdmin[Any]
        ) -> Iterable[tuple[Any, str]]:
            rows = model_admin.get_queryset(request)
            return [
                (value, str(told))
                for value, (told, condition) in choices.items()
                if rows.filter(condition).exists()
            ]

        def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
            if self.value() is None:
                return queryset
            wanted = choices.get(str(self.value()))
            return queryset.none() if wanted is None else queryset.filter(wanted[1])

    Choosing.title = title
    return Choosing


class OfRun(SimpleListFilter):
    """Findings to which something happened in one run; offered where a link asks for it."""

    title = gettext_lazy("run")
    parameter_name = "run"

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> Iterable[tuple[Any, str]]:
        """Return the run that is asked for."""
        asked = request.GET.get(self.parameter_name)
        return [(asked, printable(asked)[:40])] if asked else []

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        """Return its findings."""
        asked = self.value()
        if asked is None:
            return queryset
        try:
            run = uuid.UUID(asked)
        except ValueError:
            return queryset.none()
        events = FindingEvent.objects.using(queryset.db).filter(run=run)
        return queryset.filter(pk__in=events.values("finding"))


class OfDatabase(SimpleListFilter):
    """Which database the rows are read from: each has tables of its own."""

    title = gettext_lazy("database")
    parameter_name = "using"

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> Iterable[tuple[Any, str]]:
        """Return the aliases, if there are several."""
        aliases: list[str] = model_admin.aliases()  # type: ignore[attr-defined]  # ours, and typed as Django's
        self.chosen: str = model_admin.alias(request)  # type: ignore[attr-defined]  # ours, and typed as Django's
        return [(alias, printable(alias)) for alias in aliases] if len(aliases) > 1 else []

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Yield each alias; there is no such thing as all of them."""
        for value, told in self.lookup_choices:
            yield {
                "selected": value == self.chosen,
                "query_string": changelist.get_query_string({self.parameter_name: value}),
                "display": told,
            }

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        """Return the rows as they are: they come from there."""
        return queryset

    def get_facet_counts(self, pk_attname: str, filtered_qs: Rows) -> dict[str, Any]:
        """Count nothing: the others are elsewhere."""
        return {}


def _having(queryset: Rows, field: str, value: str | None) -> Rows:
    """Return the rows with a value; no row has what PostgreSQL cannot keep."""
    if value is None or "\0" in value:
        return queryset.none()
    return queryset.filter(**{field: value})
