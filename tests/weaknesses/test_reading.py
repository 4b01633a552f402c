"""A1, A8, D6 and H4: what one reading costs, says and advises."""

from __future__ import annotations

from collections.abc import Iterator

import pgtrigger
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pgtrigger import registry

from demo_site.past.models import Contract
from demo_site.tutorial.models import Tracked
from tests import damage
from tests.damage import pgid, run
from tests.weaknesses.expectations import INVOICE, assert_clean, check, the, tried
from trigger_ops import api
from trigger_ops.states import ExitCode, Level

in_transaction = pytest.mark.django_db

DIVERSION = """
CREATE TEMPORARY TABLE tutorial_trackedevent
    (LIKE public.tutorial_trackedevent INCLUDING DEFAULTS INCLUDING IDENTITY)
"""


@pytest.fixture
def nothing_registered() -> Iterator[None]:
    """Take every trigger out of the registry for a while."""
    kept = [(model, trigger) for model, trigger in pgtrigger.registered()]
    for model, trigger in kept:
        registry.delete(trigger.get_uri(model))
    yield
    for model, trigger in kept:
        registry.set(trigger.get_uri(model), model=model, trigger=trigger)


@pytest.mark.usefixtures("empty_database", "nothing_registered")
def test_a1_nothing_registered_is_an_empty_result() -> None:
    with pytest.raises(ValueError, match="empty"):
        damage.stock("ls")
    listing = api.survey(asked=True)
    assert listing.triggers == ()
    assert (listing.complete, listing.exit_code) == (True, ExitCode.CLEAN)
    report = check()
    assert (report.findings, report.summary) == ((), {})
    assert_clean(report)


@in_transaction
def test_a8_all_databases_in_one_run_each_with_its_own_state() -> None:
    report = api.check(databases=["default"])
    assert [target.database for target in report.targets] == ["default"]
    assert api.postgres_aliases() == ["default", "archive"]


@in_transaction
def test_a8_a_difference_says_what_differs() -> None:
    damage.gut(pgid(INVOICE))
    (trigger,) = api.inspect(INVOICE)
    assert [facet.value for facet in trigger.facets] == ["body"]


def catalog_queries(captured: CaptureQueriesContext) -> int:
    return sum("pg_trigger t" in query["sql"] for query in captured.captured_queries)


@in_transaction
def test_d6_one_catalog_query_for_all_triggers() -> None:
    assert len(pgtrigger.registered()) > 50
    with CaptureQueriesContext(connection) as stock:
        damage.stock("ls")
    with CaptureQueriesContext(connection) as ours:
        listing = api.survey()
    assert len(listing.triggers) > 50
    assert catalog_queries(ours) == 1
    assert len(stock) > len(pgtrigger.registered())


@in_transaction
def test_d6_the_count_does_not_grow_with_the_triggers() -> None:
    api.survey()
    with CaptureQueriesContext(connection) as one:
        api.survey(INVOICE)
    with CaptureQueriesContext(connection) as many:
        api.survey()
    assert len(many) == len(one)


@in_transaction
def test_h4_events_can_be_diverted_to_a_temporary_table_and_advice_says_so() -> None:
    uri = "tutorial.Tracked:snapshot_insert"
    report = check()
    assert_clean(report)
    finding = the(report, "I005", uri)
    assert (finding.level, finding.facets) == (Level.INFO, ())
    assert '"tutorial_trackedevent"' in finding.message
    with tried():
        run(DIVERSION)
        Tracked.objects.create(int_field=1, char_field="x")
        assert run("SELECT count(*) FROM public.tutorial_trackedevent") == [(0,)]
        assert run("SELECT count(*) > 0 FROM pg_temp.tutorial_trackedevent") == [(True,)]
    damage.repair(finding)
    report = check()
    assert_clean(report)
    assert uri not in {one.uri for one in report.findings if one.id == "trigger_ops.I005"}
    run(DIVERSION)
    run(
        "ALTER TABLE tutorial_tracked DISABLE TRIGGER {trigger}",
        trigger=pgid("tutorial.Tracked:create_insert"),
    )
    Tracked.objects.create(int_field=1, char_field="x")
    assert run("SELECT count(*) FROM public.tutorial_trackedevent") == [(1,)]


@in_transaction
def test_b9_a_truncate_goes_past_a_protected_table_and_advice_says_so() -> None:
    Contract.objects.create(party="Lund Ltd")
    finding = the(check(), "I004", "past.Contract:protect_deletes")
    assert finding.level is Level.INFO
    with tried():
        run("TRUNCATE past_contract")
        assert not Contract.objects.exists()
    damage.gut("keep")
    run(
        "CREATE TRIGGER keep BEFORE TRUNCATE ON past_contract FOR EACH STATEMENT "
        "EXECUTE FUNCTION keep()"
    )
    left = {one.uri for one in check().findings if one.id == "trigger_ops.I004"}
    assert "past.Contract:protect_deletes" not in left


@in_transaction
def test_a_selector_reports_nothing_about_triggers_that_were_not_asked_for() -> None:
    """Neither another trigger of the same table nor another one's function is a stranger."""
    for uri in ("tutorial.Versioned:versioned", INVOICE):
        report = check(uri)
        assert_clean(report)
        assert {one.uri for one in report.findings if one.id != "trigger_ops.I004"} <= {uri}
