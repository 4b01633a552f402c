"""Settings of the tests: the demo site's, made quick, with one database that is not PostgreSQL."""

from __future__ import annotations

import django

from demo_site.settings import *  # noqa: F403 - settings are those of the other module, and a few
from demo_site.settings import DATABASES

DEBUG = False

# Nobody in a test ends a deploy that it began.
TRIGGER_OPS = {"DEPLOY_WAIT": "100ms"}

if django.VERSION >= (6, 1):  # where a project without them is warned
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# No model lives here: the router of the demo site allows none.
DATABASES["lite"] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": ":memory:",
    "TEST": {"MIGRATE": False},
}
