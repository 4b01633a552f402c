"""Gate and witnesses, kept in place whatever else is installed beside them."""

from __future__ import annotations
