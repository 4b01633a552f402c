"""The demo site under django-grappelli."""

from __future__ import annotations

from demo_site.settings import *  # noqa: F403 - settings are those of the other module, and a few
from tests.browser import themes

INSTALLED_APPS = themes.apps("grappelli")
MIDDLEWARE = themes.middleware()
ROOT_URLCONF = "tests.browser.themes.grappelli_urls"
