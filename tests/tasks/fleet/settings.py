"""A bare project with many databases on one server, as the environment describes it."""

from __future__ import annotations

import json
import os
from typing import Any

from demo_site.database import choose_driver

choose_driver()
FLEET: dict[str, Any] = json.loads(os.environ["FLEET"])

SECRET_KEY = "fleet"
INSTALLED_APPS = ["trigger_ops", "pgtrigger", "tests.tasks.fleet", *FLEET.get("apps", ())]
DATABASES = FLEET["databases"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = FLEET.get("use_tz", True)
TRIGGER_OPS = FLEET.get("trigger_ops", {})
LOGGING_CONFIG = None
EMAIL_HOST = "127.0.0.1"
EMAIL_PORT = FLEET.get("smtp_port", 25)
EMAIL_TIMEOUT = 5
