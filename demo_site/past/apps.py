"""A database with a past: triggers that somebody damaged."""

from __future__ import annotations

from django.apps import AppConfig


class PastConfig(AppConfig):
    """Configuration of ``demo_site.past``."""

    name = "demo_site.past"
    label = "past"
