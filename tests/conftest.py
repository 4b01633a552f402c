from __future__ import annotations

from tests.site import fresh_site, site, site_execute

__all__ = ["fresh_site", "site", "site_execute"]
