"""The examples of the django-pgtrigger documents."""

from __future__ import annotations

from django.apps import AppConfig


class TutorialConfig(AppConfig):
    """Configuration of ``demo_site.tutorial``."""

    name = "demo_site.tutorial"
    label = "tutorial"
