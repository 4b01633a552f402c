"""Our own views."""

from __future__ import annotations
