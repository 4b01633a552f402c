"""Addresses of a project that has an AdminSite of its own and not the default one."""

from __future__ import annotations

from django.urls import path

from tests.web.second_site import staff

urlpatterns = [path("staff/", staff.urls)]
