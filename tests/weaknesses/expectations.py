"""What the tests of this package say about reports, in one place."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from tests import damage
from trigger_ops import api
from trigger_ops.drift import Finding, Report
from trigger_ops.inspection import InspectedTrigger
from trigger_ops.models import CanonicalForm
from trigger_ops.states import ExitCode, Facet, Level, Status

INVOICE = "past.Invoice:protect_deletes"
PRICES = "past.PriceList:read_only"
PAYROLL = "past.Payroll:read_only_employee"
CUSTOMER = "past.Customer:read_only_email"
MEASUREMENT = "awkward.Measurement:protect_deletes"


def check(*selectors: str, **options: Any) -> Report:
    """Check the default database, as `manage.py pgtrigger check -d default` does."""
    return api.check(*selectors, databases=["default"], **options)


def bad(report: Report) -> list[tuple[str, str | None]]:
    """Return (ID, URI) of every finding that is a warning or worse."""
    return [(one.id, one.uri) for one in report.findings if one.level >= Level.WARNING]


def assert_clean(report: Report) -> None:
    """Demand that nothing is wrong and that everything could be read."""
    assert bad(report) == [], [one.message for one in report.findings]
    assert report.complete
    assert report.exit_code is ExitCode.CLEAN


def the(report: Report, code: str, uri: str | None = None) -> Finding:
    """Return the one finding of an ID; if a URI is given, the one about it."""
    found = [
        one
        for one in report.findings
        if one.id == f"trigger_ops.{code}" and (uri is None or one.uri == uri)
    ]
    assert len(found) == 1, [(one.id, one.uri, one.message) for one in report.findings]
    return found[0]


def only(report: Report, code: str, uri: str | None) -> Finding:
    """Return the finding that alone is a warning or worse, and demand exit code 1."""
    assert bad(report) == [(f"trigger_ops.{code}", uri)], report.findings
    assert report.exit_code is ExitCode.FINDINGS
    return the(report, code, uri)


def status_of(report: Report, uri: str) -> Status:
    """Return the status of one trigger in a report."""
    return trigger_of(report, uri).status


def trigger_of(report: Report, uri: str) -> InspectedTrigger:
    """Return one inspected trigger of a report's databases."""
    (one,) = [one for db in report.databases for one in db.triggers if one.uri == uri]
    return one


def facets(*names: str) -> tuple[Facet, ...]:
    """Return facets by name, in their own order."""
    return tuple(one for one in Facet if one.value in names)


@contextlib.contextmanager
def tried() -> Iterator[None]:
    """Undo at the end what is done inside."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def assert_refused(act: Callable[[], object]) -> None:
    """Demand that a trigger of pgtrigger forbids an act."""
    with pytest.raises(DatabaseError, match="pgtrigger"), transaction.atomic():
        act()


def repair_and_check(finding: Finding) -> None:
    """Do what the finding says, and demand a clean check after it."""
    damage.repair(finding)
    assert_clean(check())


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget canonical conditions, so that stand-ins have to be made."""
    monkeypatch.setattr(api.inspecting, "_minted", {})
    CanonicalForm.objects.all().delete()
