"""Tables and triggers that are unusual in some way."""

from __future__ import annotations

from django.apps import AppConfig


class AwkwardConfig(AppConfig):
    """Configuration of ``demo_site.awkward``."""

    name = "demo_site.awkward"
    label = "awkward"
