"""Inspected triggers, findings and reports made by hand, for tests of what is printed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from typing import Any

from trigger_ops.catalog.snapshot import CatalogTrigger
from trigger_ops.drift import Finding, Listing, Report
from trigger_ops.inspection import InspectedDatabase, InspectedTrigger
from trigger_ops.registry import RegisteredTrigger
from trigger_ops.registry.definition import BEFORE, DELETE, ROW, Definition
from trigger_ops.states import Enabled, Level, Status, Verdict

STARTED = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
RUN_ID = uuid.UUID("12345678-1234-5678-1234-567812345678")
PGID = "pgtrigger_no_del_133cc"


def a_definition(**changes: Any) -> Definition:
    """Return a BEFORE DELETE row trigger of table ``shop_order``, as the code declares it."""
    definition = Definition(
        pgid=PGID,
        hash="0" * 40,
        table=(None, "shop_order"),
        body="\nBEGIN\n    RAISE EXCEPTION 'no';\nEND;\n",
        timing=BEFORE,
        events=DELETE,
        level=ROW,
        columns=None,
        is_constraint=False,
        deferrable=False,
        initially_deferred=False,
        old_table=None,
        new_table=None,
        function=(None, PGID),
        arguments=(),
        condition="",
        stand_in_parts=("", "BEFORE DELETE", " FOR EACH ROW "),
        install_sql="",
    )
    return dataclasses.replace(definition, **changes)


def a_registered_trigger(**changes: Any) -> RegisteredTrigger:
    """Return the registered side of ``shop.Order:no_del``; changes go to its definition."""
    return RegisteredTrigger(
        uri="shop.Order:no_del",
        app_label="shop",
        model="Order",
        name="no_del",
        kinds=frozenset({"Protect", "Trigger"}),
        pgid=PGID,
        table=(None, "shop_order"),
        definition=a_definition(**changes),
        error=None,
        model_class=None,  # type: ignore[arg-type]
    )


def a_catalog_trigger(**changes: Any) -> CatalogTrigger:
    """Return what PostgreSQL has of :func:`a_definition`: exactly that."""
    trigger = CatalogTrigger(
        oid=1,
        schema="public",
        table="shop_order",
        table_oid=2,
        table_owner="owner",
        relkind="r",
        has_triggers=True,
        columns_digest="",
        name=PGID,
        enabled="O",
        type_bits=BEFORE | DELETE | ROW,
        deferrable=False,
        initially_deferred=False,
        is_constraint=False,
        old_table=None,
        new_table=None,
        arguments=(),
        columns=None,
        has_condition=False,
        definition=None,
        uses=(),
        comment="0" * 40,
        function_schema="public",
        function=PGID,
        function_oid=3,
        language="plpgsql",
        security_definer=False,
        volatility="v",
        function_settings=(),
        function_owner="owner",
        function_owner_rules_table=True,
        body=a_definition().body or "",
    )
    return dataclasses.replace(trigger, **changes)


def a_trigger(**changes: Any) -> InspectedTrigger:
    """Return ``shop.Order:no_del``, installed and as registered."""
    trigger = InspectedTrigger(
        uri="shop.Order:no_del",
        database="default",
        schema="public",
        table="shop_order",
        trigger=PGID,
        status=Status.INSTALLED,
        enabled=Enabled.ENABLED,
        verdict=Verdict.SAME,
        registered_hash="0" * 40,
        installed_hash="0" * 40,
        registered=a_registered_trigger(),
        installed=a_catalog_trigger(),
    )
    return dataclasses.replace(trigger, **changes)


def a_database(*triggers: InspectedTrigger, **changes: Any) -> InspectedDatabase:
    """Return database ``default`` with these triggers, read without trouble in 41 ms."""
    database = InspectedDatabase(alias="default", status="ok", triggers=triggers, schemas=1, ms=41)
    return dataclasses.replace(database, **changes)


def a_listing(*triggers: InspectedTrigger, **changes: Any) -> Listing:
    """Return what ``ls`` of one database found."""
    listing = Listing(databases=(a_database(*triggers),), triggers=triggers)
    return dataclasses.replace(listing, **changes)


def a_finding(**changes: Any) -> Finding:
    """Return a C001 about ``shop.Order:no_del``."""
    finding = Finding(
        id="trigger_ops.C001",
        level=Level.CRITICAL,
        uri="shop.Order:no_del",
        database="default",
        schema="public",
        table="shop_order",
        trigger=PGID,
        status=Status.TAMPERED,
        enabled=Enabled.ENABLED,
        facets=(),
        message="The body was changed.",
        fix="manage.py pgtrigger install shop.Order:no_del",
        schemas=("public",),
    )
    return dataclasses.replace(finding, **changes)


def a_report(*findings: Finding, **changes: Any) -> Report:
    """Return a check of one database with one trigger that took 1.5 seconds."""
    report = Report(
        run_id=RUN_ID,
        started=STARTED,
        finished=STARTED + dt.timedelta(seconds=1.5),
        databases=(a_database(a_trigger()),),
        findings=findings,
    )
    return dataclasses.replace(report, **changes)
