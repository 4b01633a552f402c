"""The Celery application of the fleet, as Celery's documentation writes one for Django."""

from __future__ import annotations

import datetime as dt
import importlib
import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.tasks.fleet.settings")

from django.conf import settings

app = Celery("fleet")
app.conf.update(settings.FLEET["celery"])
app.autodiscover_tasks()


@worker_process_init.connect
def hurry(**_: Any) -> None:
    """Have what waits for minutes wait for as many seconds as the fleet says."""
    for name, seconds in settings.FLEET.get("seconds", {}).items():
        module, _, constant = name.rpartition(".")
        found = importlib.import_module(module)
        is_span = isinstance(getattr(found, constant), dt.timedelta)
        setattr(found, constant, dt.timedelta(seconds=seconds) if is_span else seconds)
