"""The Celery application of the fleet, as Celery's documentation writes one for Django."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.tasks.fleet.settings")

from django.conf import settings

app = Celery("fleet")
app.conf.update(settings.FLEET["celery"])
app.autodiscover_tasks()
