"""Inspected triggers, findings and reports made by hand, for tests of what is printed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from typing import Any

from trigger_ops.applier import RunReport, StepResult
from trigger_ops.catalog.snapshot import CatalogTrigger
from trigger_ops.drift import Finding, Listing, Report
from trigger_ops.inspection import InspectedDatabase, InspectedTrigger
from trigger_ops.ledger.entries import Entry
from trigger_ops.planner import Plan, Request, ServerIdentity, Statement, Step
from trigger_ops.registry import RegisteredTrigger
from trigger_ops.registry.definition import BEFORE, DELETE, ROW, Definition
from trigger_ops.states import Enabled, Level, Lock, Result, Status, Verb, Verdict

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
        model_class=None,  # type: ignore[arg-type]  # a rendering never looks at it
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


def a_statement(**changes: Any) -> Statement:
    """Return the statement that creates the trigger of :func:`a_step`."""
    statement = Statement(
        sql=f'CREATE TRIGGER "{PGID}"\n  BEFORE DELETE ON "public"."shop_order"',
        lock=Lock.SHARE_ROW_EXCLUSIVE,
        reason="the trigger is missing",
        undo=f'DROP TRIGGER "{PGID}" ON "public"."shop_order"',
    )
    return dataclasses.replace(statement, **changes)


def a_step(*statements: Statement, **changes: Any) -> Step:
    """Return the step that creates ``shop.Order:no_del``, with these statements."""
    step = Step(
        uri="shop.Order:no_del",
        database="default",
        schema="public",
        table="shop_order",
        table_oid=2,
        trigger=PGID,
        result=Result.CREATED,
        statements=statements,
        reason="it was missing",
    )
    return dataclasses.replace(step, **changes)


def a_plan(*steps: Step, **changes: Any) -> Plan:
    """Return a plan to install on ``default``, made at 03:04:05 and good for an hour."""
    plan = Plan(
        request=Request(verb=Verb.INSTALL, databases=("default",)),
        created=STARTED,
        expires=STARTED + dt.timedelta(hours=1),
        servers=(
            ServerIdentity(alias="default", database="shop", version=180001, identifier="74"),
        ),
        steps=steps,
        fingerprint="f" * 64,
    )
    return dataclasses.replace(plan, **changes)


def a_result(result: Result, reason: str = "", **changes: Any) -> StepResult:
    """Return what became of :func:`a_step`; changes go to the step."""
    return StepResult(step=a_step(result=result, **changes), result=result, reason=reason, ms=12)


def a_run(*results: StepResult, **changes: Any) -> RunReport:
    """Return the report of an install that went through."""
    report = RunReport(run=RUN_ID, verb=Verb.INSTALL, results=results)
    return dataclasses.replace(report, **changes)


def an_entry(number: int, kind: str = "statement", **changes: Any) -> Entry:
    """Return an entry of the ledger, ``number`` seconds into an install by ``os:ann@web1``."""
    at = STARTED + dt.timedelta(seconds=number)
    fields: dict[str, Any] = {
        "id": number,
        "run": RUN_ID,
        "kind": kind,
        "at": at,
        "began": at,
        "took_ms": 12.25,
        "verb": "install",
        "actor": "os:ann@web1",
        "reason": "release 7",
    }
    about: dict[str, Any] = {
        "database": "default",
        "schema": "public",
        "table": "shop_order",
        "uri": "shop.Order:no_del",
        "trigger": PGID,
        "sql": f'CREATE TRIGGER "{PGID}"',
        "undo": f'DROP TRIGGER "{PGID}"',
        "lock": "SHARE ROW EXCLUSIVE",
        "before": {},
        "after": {"status": "INSTALLED"},
        "outcome": "created",
        "detail": "",
    }
    if kind != "statement":
        about = {
            name: {} if value == {} or name == "after" else "" for name, value in about.items()
        }
    return Entry(**fields | about | changes)
