"""Addresses of the demo site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from demo_site.views import front_page, run_example

urlpatterns = [
    path("", front_page, name="front_page"),
    path("run/", run_example, name="run_all"),
    path("run/<str:name>/", run_example, name="run_example"),
    path("admin/", admin.site.urls),
    path("trigger_ops/", include("trigger_ops.urls")),
]
