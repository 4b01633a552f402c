"""Plan files that somebody edited with care: the checksum is right, and the request another one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.guard.conftest import (
    guarded,
    guarded_template,
    make_database,
    migrated_database,
    own_database,
)
from trigger_ops import api
from trigger_ops.exceptions import StalePlan
from trigger_ops.planner import Plan, Request, files
from trigger_ops.planner.documents import checksum
from trigger_ops.states import Verb

__all__ = ["guarded", "guarded_template", "make_database", "migrated_database", "own_database"]

INVOICE = "past.Invoice:protect_deletes"
RECEIPT = "past.Receipt:append_only"
ME = "os:ann@web1"


def planned(verb: Verb, *selectors: str) -> Plan:
    return api.plan(Request(verb=verb, databases=("default",), selectors=selectors))


def edited(plan: Plan, **request: Any) -> files.PlanFile:
    document: dict[str, Any] = json.loads(files.text(plan))
    document["request"] |= request
    return files.read(json.dumps(document | {"checksum": checksum(document)}))


@pytest.mark.parametrize(
    "selectors", [[], [RECEIPT], [INVOICE, RECEIPT], ["past.*"], ["past.Invoice:no_such"]]
)
def test_selectors_of_other_triggers_are_refused(
    own_database: BaseDatabaseWrapper, selectors: list[str]
) -> None:
    file = edited(planned(Verb.UNINSTALL, INVOICE), selectors=selectors)
    before = api.inspect()
    with pytest.raises(StalePlan):
        api.apply_file(file, verb=Verb.UNINSTALL, actor=ME)
    assert api.inspect() == before


def test_what_has_nothing_to_do_is_not_added_either(own_database: BaseDatabaseWrapper) -> None:
    api.apply(planned(Verb.UNINSTALL, RECEIPT), actor=ME)
    plan = planned(Verb.UNINSTALL, INVOICE)
    file = edited(plan, selectors=[INVOICE, RECEIPT])
    assert files.document(planned(Verb.UNINSTALL, INVOICE, RECEIPT))["statements"] == list(
        file.statements
    )
    with pytest.raises(StalePlan, match="A planned trigger, its table or the ignore function"):
        api.apply_file(file, verb=Verb.UNINSTALL, actor=ME)


def test_another_word_for_the_same_triggers_does_what_the_file_says(
    own_database: BaseDatabaseWrapper,
) -> None:
    plan = planned(Verb.UNINSTALL, INVOICE)
    file = edited(plan, selectors=["past.Invoice:protect_d*"])
    report = api.apply_file(file, verb=Verb.UNINSTALL, actor=ME)
    assert [one.step.uri for one in report.changed] == [INVOICE]


@pytest.mark.parametrize(
    "request_", [{"selectors": [RECEIPT]}, {"glob": "public"}, {"path": ["public"]}]
)
def test_a_file_of_the_guard_speaks_of_no_selection(
    guarded: BaseDatabaseWrapper, request_: dict[str, Any]
) -> None:
    file = edited(planned(Verb.GUARD_REMOVE), **request_)
    with pytest.raises(StalePlan, match="of which guard remove takes no account"):
        api.apply_file(file, verb=Verb.GUARD_REMOVE, actor=ME)
    assert api.guard_status("default").state is not None
