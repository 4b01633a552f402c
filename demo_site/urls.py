"""Addresses of the demo site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from demo_site.views import front_page

urlpatterns = [
    path("", front_page, name="front_page"),
    path("admin/", admin.site.urls),
    path("trigger_ops/", include("trigger_ops.urls")),
]
