"""The one place that reads Django settings: ``TRIGGER_OPS`` and what pgtrigger's say.

Every key has a typed default in :data:`DEFAULTS`. ``checks`` validates what users set.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

DEFAULTS: dict[str, Any] = {
    # Selector -> "enabled" | "always" | "replica" | "disabled": the mode a trigger should be in.
    "ENABLED": {},
    # Give pgtrigger's registry indexes while triggers are registered at start-up.
    "FAST_REGISTRY": True,
    # Alias that holds what checks record (canonical forms of conditions).
    "RECORD_DATABASE": "default",
    # Milliseconds one catalog query may take; 0 waits for ever.
    "STATEMENT_TIMEOUT": 30_000,
    # Milliseconds a reading waits behind somebody's ACCESS EXCLUSIVE lock before it goes round.
    "LOCK_TIMEOUT": 2_000,
}

MODES = ("enabled", "disabled", "replica", "always")
"""What ``ENABLED`` may declare, in any case."""


def user_settings() -> dict[str, Any]:
    """Return what the project put into ``settings.TRIGGER_OPS`` (an empty dict if nothing)."""
    value = getattr(settings, "TRIGGER_OPS", {})
    return value if isinstance(value, dict) else {}


def get(key: str) -> Any:
    """Return one setting, or its default. ``key`` must be in :data:`DEFAULTS`."""
    return user_settings().get(key, DEFAULTS[key])


def fast_registry() -> bool:
    """Tell whether start-up may index pgtrigger's registry."""
    return bool(get("FAST_REGISTRY"))


def declared_modes() -> dict[str, str]:
    """Return the declared enabled mode by selector, in upper case as in ``states.Enabled``."""
    return {selector: str(mode).upper() for selector, mode in get("ENABLED").items()}


def record_database() -> str:
    """Return the alias that remembers canonical forms."""
    return str(get("RECORD_DATABASE"))


def statement_timeout() -> int:
    """Return how long one catalog query may take, in milliseconds; 0 is for ever."""
    return int(get("STATEMENT_TIMEOUT"))


def lock_timeout() -> int:
    """Return how long a reading waits behind somebody's lock, in milliseconds."""
    return int(get("LOCK_TIMEOUT"))
