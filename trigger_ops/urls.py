"""Addresses of our own views: ``path("trigger_ops/", include("trigger_ops.urls"))``."""

from __future__ import annotations

from django.urls import path

from trigger_ops.web.metrics import metrics

app_name = "trigger_ops"

urlpatterns = [path("metrics", metrics, name="metrics")]
