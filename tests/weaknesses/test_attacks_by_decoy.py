"""A table in front of the real one, for whoever checks with another search_path to look at."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from tests.damage import pgid, run
from tests.weaknesses.expectations import INVOICE, bad, check, the
from trigger_ops.inspection import Scope

pytestmark = pytest.mark.django_db

PUT_UP = """
    CREATE SCHEMA decoy;
    CREATE TABLE decoy.past_invoice (LIKE public.past_invoice INCLUDING ALL);
    SET search_path = decoy, public
"""


def put_up_a_decoy() -> None:
    """Guard a copy of the table properly; it comes before the real one on the search_path."""
    run(PUT_UP)
    call_command("pgtrigger", "install", INVOICE, verbosity=0)


def test_a_disabled_trigger_behind_a_decoy_is_found() -> None:
    put_up_a_decoy()
    run("ALTER TABLE public.past_invoice DISABLE TRIGGER {trigger}", trigger=pgid(INVOICE))
    finding = the(check(), "E002", INVOICE)
    assert finding.schema == "public"


def test_a_dropped_trigger_behind_a_decoy_is_not_green() -> None:
    put_up_a_decoy()
    run("DROP TRIGGER {trigger} ON public.past_invoice", trigger=pgid(INVOICE))
    report = check()
    assert ("trigger_ops.W013", None) in bad(report)
    assert the(report, "W013").table == "past_invoice"
    assert report.exit_code == 1


def test_a_guarded_table_behind_a_guarded_one_is_no_finding() -> None:
    put_up_a_decoy()
    assert {code for code, uri in bad(check()) if uri == INVOICE} <= {"trigger_ops.W008"}


def test_a_path_that_was_asked_for_says_which_table_is_meant() -> None:
    put_up_a_decoy()
    run("DROP TRIGGER {trigger} ON public.past_invoice", trigger=pgid(INVOICE))
    report = check(INVOICE, scope=Scope(path=("decoy",)))
    assert "trigger_ops.W013" not in {finding.id for finding in report.findings}
