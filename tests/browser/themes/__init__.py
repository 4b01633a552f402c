"""Settings of the demo site with admins of other makes; their pages need looser policies than ours."""

from __future__ import annotations

from demo_site.settings import INSTALLED_APPS, MIDDLEWARE


def apps(*first: str) -> list[str]:
    """Return the apps of the demo site behind those of a theme."""
    return [*first, *INSTALLED_APPS]


def middleware() -> list[str]:
    """Return the middleware of the demo site without its policy."""
    return [one for one in MIDDLEWARE if not one.startswith("demo_site.policy.")]
