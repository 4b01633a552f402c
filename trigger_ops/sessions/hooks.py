"""Methods of one connection that are replaced for a while, and call the ones they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


class _Hook:
    def __init__(self, own: Callable[..., Any], original: Callable[..., Any]) -> None:
        self._own, self._original = own, original

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._own(self._original, *arguments, **named)


def put(connection: BaseDatabaseWrapper, hooks: Mapping[str, Callable[..., Any]]) -> None:
    """Replace methods by name; each hook is given the method that it stands for, first."""
    for name, own in hooks.items():
        setattr(connection, name, _Hook(own, getattr(connection, name)))


def take(connection: BaseDatabaseWrapper, names: Iterable[str]) -> None:
    """Put the methods back, those apart that somebody has replaced since."""
    for name in names:
        if isinstance(vars(connection).get(name), _Hook):
            delattr(connection, name)
