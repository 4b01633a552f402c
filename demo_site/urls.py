"""Addresses of the demo site."""

from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from demo_site.views import front_page, run_example

urlpatterns = [
    path("", front_page, name="front_page"),
    path("run/", run_example, name="run_all"),
    path("run/<str:name>/", run_example, name="run_example"),
    path("favicon.ico", RedirectView.as_view(url=static("demo_site/icon.svg"))),
    path("admin/", admin.site.urls),
    path("trigger_ops/", include("trigger_ops.urls")),
]
