"""The demo site under django-unfold."""

from __future__ import annotations

from demo_site.settings import *  # noqa: F403
from tests.browser import themes

INSTALLED_APPS = themes.apps("unfold")
MIDDLEWARE = themes.middleware()
