"""The demo site under django-jazzmin."""

from __future__ import annotations

from demo_site.settings import *  # noqa: F403 - settings are those of the other module, and a few
from tests.browser import themes

INSTALLED_APPS = themes.apps("jazzmin")
MIDDLEWARE = themes.middleware()
# Nothing from elsewhere.
JAZZMIN_SETTINGS = {"use_google_fonts_cdn": False}
