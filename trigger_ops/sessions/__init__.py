"""Audited sessions: opening, entering, reviewing and ending them. Writes only through the database's functions."""

from __future__ import annotations
