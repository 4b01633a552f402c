"""The addresses of the demo site, and those that grappelli wants."""

from __future__ import annotations

from django.urls import include, path

from demo_site import urls

urlpatterns = [path("grappelli/", include("grappelli.urls")), *urls.urlpatterns]
