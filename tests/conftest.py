from __future__ import annotations

import hypothesis

from tests.site import fresh_site, site, site_execute

__all__ = ["fresh_site", "site", "site_execute"]

# A slow machine is no failure.
hypothesis.settings.register_profile("trigger_ops", deadline=None)
hypothesis.settings.load_profile("trigger_ops")
