"""The demo's migrations of `past`, with one more behind them: see test_false_alarms.py."""

from __future__ import annotations

import importlib

Migration = importlib.import_module("demo_site.past.migrations.0001_initial").Migration
