"""Addresses of a project that has an AdminSite of its own beside the default one."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path

from demo_site.past.models import Receipt
from trigger_ops.admin import register


def own_page(request: HttpRequest) -> HttpResponse:
    """Answer as a view of the project does, which says nothing of the site that it is in."""
    return HttpResponse("<html><head></head><body>own</body></html>")


class StaffSite(admin.AdminSite):
    """A site with a page of its own."""

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [path("own/", self.admin_view(own_page)), *super().get_urls()]


staff = StaffSite("staff")
register(staff)
staff.register(Receipt)

elsewhere = admin.AdminSite("elsewhere")
elsewhere.register(Receipt)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("staff/", staff.urls),
    path("elsewhere/", elsewhere.urls),
]
