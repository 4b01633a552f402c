from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from tests.rendering.examples import (
    PGID,
    RUN_ID,
    a_catalog_trigger,
    a_database,
    a_finding,
    a_listing,
    a_report,
    a_trigger,
)
from trigger_ops import conf
from trigger_ops.rendering import documents
from trigger_ops.states import Facet, Level, Status, Verdict

GUTTED = a_trigger(
    status=Status.TAMPERED,
    verdict=Verdict.TAMPERED,
    facets=(Facet.BODY,),
    installed=a_catalog_trigger(body="x"),
)


def test_the_ls_document() -> None:
    assert documents.listing_document(a_listing(a_trigger(), GUTTED)) == {
        "schema": "trigger_ops.ls/1",
        "complete": True,
        "exit_code": 0,
        "summary": {"INSTALLED": 1, "TAMPERED": 1},
        "triggers": [
            {
                "uri": "shop.Order:no_del",
                "database": "default",
                "schema": "public",
                "table": "shop_order",
                "trigger": PGID,
                "status": status,
                "enabled": "ENABLED",
                "facets": facets,
                "registered_hash": "0" * 40,
                "installed_hash": "0" * 40,
                "reason": "",
            }
            for status, facets in (("INSTALLED", []), ("TAMPERED", ["body"]))
        ],
    }


def test_the_diff_document_holds_what_differs() -> None:
    listing = a_listing(a_trigger(), GUTTED, asked=True)
    assert documents.difference_document(listing) == {
        "schema": "trigger_ops.diff/1",
        "complete": True,
        "exit_code": 1,
        "triggers": [
            {
                "uri": "shop.Order:no_del",
                "database": "default",
                "schema": "public",
                "table": "shop_order",
                "trigger": PGID,
                "status": "TAMPERED",
                "facets": ["body"],
                "reason": "",
                "diff": [
                    {
                        "facet": "body",
                        "registered": "\nBEGIN\n    RAISE EXCEPTION 'no';\nEND;\n",
                        "installed": "x",
                    }
                ],
            }
        ],
    }


def test_the_check_document() -> None:
    assert documents.report_document(a_report(a_finding(facets=(Facet.BODY,)))) == {
        "schema": "trigger_ops.check/1",
        "run_id": str(RUN_ID),
        "started": "2026-01-02T03:04:05+00:00",
        "finished": "2026-01-02T03:04:06.500000+00:00",
        "complete": True,
        "exit_code": 1,
        "summary": {"INSTALLED": 1},
        "targets": [
            {
                "database": "default",
                "schemas": 1,
                "triggers": 1,
                "status": "ok",
                "ms": 41,
                "reason": "",
            }
        ],
        "findings": [
            {
                "id": "trigger_ops.C001",
                "level": "CRITICAL",
                "uri": "shop.Order:no_del",
                "database": "default",
                "schema": "public",
                "schemas": ["public"],
                "count": 1,
                "table": "shop_order",
                "trigger": PGID,
                "status": "TAMPERED",
                "enabled": "ENABLED",
                "facets": ["body"],
                "message": "The body was changed.",
                "fix": "manage.py pgtrigger install shop.Order:no_del",
                "first_seen": None,
                "digest": "",
                "runbook": conf.runbook("C001"),
                "allowance": None,
            }
        ],
        "unrecorded": None,
    }


def test_a_finding_about_a_database_has_nulls() -> None:
    finding = a_finding(
        uri=None, schema=None, table=None, trigger=None, status=None, enabled=None, schemas=()
    )
    (found,) = documents.report_document(a_report(finding))["findings"]
    nulls = {key for key, value in found.items() if value is None}
    assert nulls == {
        *("uri", "schema", "table", "trigger", "status", "enabled", "first_seen", "allowance"),
    }


def test_first_seen_is_a_moment() -> None:
    seen = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    (found,) = documents.report_document(a_report(a_finding(first_seen=seen)))["findings"]
    assert found["first_seen"] == "2026-01-01T00:00:00+00:00"


UNKNOWN = a_trigger(status=Status.UNKNOWN, verdict=Verdict.UNVERIFIED)


@pytest.mark.parametrize(
    ("document", "complete", "exit_code"),
    [
        (documents.listing_document(a_listing(UNKNOWN)), False, 3),
        (documents.listing_document(a_listing(UNKNOWN, GUTTED, asked=True)), False, 1),
        (documents.difference_document(a_listing(UNKNOWN)), False, 3),
        (documents.report_document(a_report(databases=(a_database(UNKNOWN),))), False, 3),
        (
            documents.report_document(a_report(a_finding(), databases=(a_database(UNKNOWN),))),
            False,
            1,
        ),
        (documents.report_document(a_report(a_finding(level=Level.INFO))), True, 0),
    ],
)
def test_the_exit_code_stands_in_the_document(
    document: dict[str, Any], *, complete: bool, exit_code: int
) -> None:
    assert (document["complete"], document["exit_code"]) == (complete, exit_code)


def test_any_name_survives_json_and_any_terminal() -> None:
    listing = a_listing(a_trigger(uri="Größe\x1b\ud800\n:x"))
    text = documents.as_json(documents.listing_document(listing))
    assert text.isascii()
    assert "\x1b" not in text
    assert json.loads(text)["triggers"][0]["uri"] == "Größe\x1b\ud800\n:x"


def test_the_findings_of_all_databases_come_worst_first() -> None:
    report = a_report(
        a_finding(level=Level.INFO, database="one"),
        a_finding(level=Level.WARNING, database="one"),
        a_finding(level=Level.CRITICAL, database="two"),
        a_finding(level=Level.WARNING, database="two"),
    )
    listed = documents.report_document(report)["findings"]
    assert [(one["level"], one["database"]) for one in listed] == [
        ("CRITICAL", "two"),
        ("WARNING", "one"),
        ("WARNING", "two"),
        ("INFO", "one"),
    ]
