"""Turns listings and reports into text, tables and documents. Pure: nothing is read or printed."""

from __future__ import annotations
