"""Settings of commands run as processes against the database of a running test.

``TRIGGER_OPS_TEST`` is a JSON object: ``names`` maps an alias to its database, ``down`` adds an
alias that nobody answers, ``declared`` is the setting TRIGGER_OPS, ``apps`` is INSTALLED_APPS,
``autocommit`` is that of `default`.
"""

from __future__ import annotations

import json
import os

from tests.settings import *  # noqa: F403 - settings are those of the other module, and a few
from tests.settings import DATABASES, INSTALLED_APPS

_ASKED = json.loads(os.environ["TRIGGER_OPS_TEST"])

for _alias, _name in _ASKED["names"].items():
    DATABASES[_alias]["NAME"] = _name
if _ASKED.get("down"):
    DATABASES["down"] = {**DATABASES["default"], "HOST": "127.0.0.1", "PORT": "1"}
DATABASES["default"]["AUTOCOMMIT"] = _ASKED.get("autocommit", True)
TRIGGER_OPS = _ASKED.get("declared", {})
INSTALLED_APPS = _ASKED.get("apps", INSTALLED_APPS)
