"""No skipped test is left behind: what CI does not run, it does not show.

A developer's machine may lack a program, and a test of that is skipped there with a sentence. In
CI (``TRIGGER_OPS_CI=1``) such a test fails. One that declares by a mark that it is not for this
driver or this user may stay out, unless an acceptance test or the auditor's guide names it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Generator
from typing import Any

import pytest

MARKS = ("skip", "skipif")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a test fail that was skipped, or expected to fail, in CI."""
    report = yield
    if report.skipped and _in_ci() and not _may_stay_out(item):
        report.outcome = "failed"
        report.longrepr = f"In CI nothing is skipped, and this test was: {_reason(report)}"
        if hasattr(report, "wasxfail"):
            del report.wasxfail
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let a file fail that was skipped as a whole in CI."""
    report = yield
    if report.skipped and _in_ci():
        report.outcome = "failed"
        report.longrepr = f"In CI nothing is skipped, and this file was: {_reason(report)}"
    return report


def _in_ci() -> bool:
    return os.environ.get("TRIGGER_OPS_CI") == "1"


def _may_stay_out(item: pytest.Item) -> bool:
    if item.nodeid.partition("[")[0] in _shown():
        return False
    return any(item.get_closest_marker(mark) for mark in MARKS)


@functools.cache
def _shown() -> frozenset[str]:
    """Return the tests that show something to somebody."""
    from tests.test_acceptance import ACCEPTANCE, guides_references  # which imports much

    return frozenset(guides_references()).union(*(one.tests for one in ACCEPTANCE.values()))


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    where = report.longrepr
    return str(where[2] if isinstance(where, tuple) else where)
