"""The language of the search box and of the list's address: what finds what, and what is told."""

from __future__ import annotations

import pytest
from django.http import QueryDict
from django.utils.http import urlencode

from trigger_ops.inspection import InspectedTrigger
from trigger_ops.registry import RegisteredTrigger, registered_triggers
from trigger_ops.states import Enabled, Facet, Status, Verdict
from trigger_ops.web.searching import (
    FIELDS,
    Described,
    Search,
    counted,
    described,
    read_search,
    sentence,
)

REGISTERED: dict[str, RegisteredTrigger] = {}


@pytest.fixture(autouse=True)
def registered() -> None:
    REGISTERED.update({one.uri: one for one in registered_triggers()})


def inspected(
    uri: str,
    status: Status = Status.INSTALLED,
    enabled: Enabled = Enabled.ENABLED,
    *,
    schema: str | None = "public",
    database: str = "default",
    facets: tuple[Facet, ...] = (),
) -> Described:
    known = REGISTERED.get(uri)
    return described(
        InspectedTrigger(
            uri=uri,
            database=database,
            schema=schema,
            table=known.table[1] if known else uri.partition(":")[0],
            trigger=known.pgid if known else uri.partition(":")[2],
            status=status,
            enabled=enabled,
            verdict=Verdict.SAME,
            facets=facets,
            registered=known,
        )
    )


def every() -> list[Described]:
    return [
        inspected("past.Invoice:protect_deletes", Status.TAMPERED, facets=(Facet.BODY,)),
        inspected("past.Payroll:read_only_employee", enabled=Enabled.DISABLED),
        inspected("past.Customer:read_only_email", schema="tenant_a"),
        inspected("tutorial.SoftDelete:soft_delete"),
        inspected("awkward.Measurement:protect_deletes", database="archive"),
        inspected("orders:pgtrigger_audit", Status.FOREIGN),
        inspected("past.Shipment:protect_deletes", Status.UNINSTALLED, schema=None),
    ]


def read(text: str = "", **filters: str | list[str]) -> Search:
    query = urlencode({"q": text, **filters}, doseq=True)
    return read_search(QueryDict(query), every())


def names(search: Search) -> list[str]:
    """Return what is found, by the part that tells them apart."""
    uris = [one.trigger.uri for one in every() if search.matches(one)]
    return [uri.rpartition(".")[2].partition(":")[0] for uri in uris]


ALL = ["Invoice", "Payroll", "Customer", "SoftDelete", "Measurement", "orders", "Shipment"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ALL),
        ("   ", ALL),
        ("state:tampered", ["Invoice"]),
        ("STATE:Tampered", ["Invoice"]),
        ("status:tampered", ["Invoice"]),
        ("state:tampered state:foreign", ["Invoice", "orders"]),
        ("state:tampered app:past", ["Invoice"]),
        ("state:tampered app:tutorial", []),
        ("app:past", ["Invoice", "Payroll", "Customer", "Shipment"]),
        ("db:archive", ["Measurement"]),
        ("database:archive", ["Measurement"]),
        ("schema:tenant_a", ["Customer"]),
        ("kind:readonly", ["Payroll", "Customer"]),
        ("kind:protect db:default", ["Invoice", "Shipment"]),
        ("enabled:disabled", ["Payroll"]),
        ("facet:body", ["Invoice"]),
        ("facet:owner", []),
        ("INVOICE", ["Invoice"]),
        ("past_invoice", ["Invoice"]),
        ("protect past.", ["Invoice", "Shipment"]),
        ("past.Invoice:protect_deletes", ["Invoice"]),
        ("orders:pgtrigger_audit", ["orders"]),
        ('"protect_deletes"', ["Invoice", "Measurement", "Shipment"]),
        ('schema:"tenant_a"', ["Customer"]),
        ("nothing_like_that", []),
        ('"', []),
        ("100% ' <b> \\", []),
    ],
)
def test_what_a_text_finds(text: str, found: list[str]) -> None:
    search = read(text)
    assert search.problems == ()
    assert names(search) == found


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"status": "TAMPERED"}, ["Invoice"]),
        ({"status": "tampered"}, ["Invoice"]),
        ({"status": ["TAMPERED", "FOREIGN"]}, ["Invoice", "orders"]),
        ({"status": "INSTALLED", "enabled": "DISABLED"}, ["Payroll"]),
        ({"app": "tutorial"}, ["SoftDelete"]),
        ({"database": "archive"}, ["Measurement"]),
        ({"schema": "tenant_a"}, ["Customer"]),
        ({"kind": "ReadOnly"}, ["Payroll", "Customer"]),
        ({"facet": "body"}, ["Invoice"]),
        ({"app": "past", "text": "state:installed customer"}, ["Customer"]),
        ({"status": "TAMPERED", "text": "state:foreign"}, []),
    ],
)
def test_what_filters_of_the_address_find(
    filters: dict[str, str | list[str]], found: list[str]
) -> None:
    search = read(**filters)  # type: ignore[arg-type]  # a test gives what it changes by name
    assert search.problems == ()
    assert names(search) == found


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"text": "stat:tampered"}, '"stat:" is no term to search by: did you mean "state"?'),
        ({"text": "colour:red"}, '"colour:" is no term to search by: there are: app, db,'),
        ({"text": "state:tamperd"}, 'Status "tamperd" is not known: did you mean "TAMPERED"?'),
        ({"text": "state:"}, 'Status "" is not known: there are: FOREIGN,'),
        ({"text": "app:pst"}, 'App "pst" is not known: did you mean "past"?'),
        ({"text": "facet:bdy"}, 'Differs in "bdy" is not known: did you mean "body"?'),
        ({"status": "NONSENSE"}, 'Status "NONSENSE" is not known: '),
        ({"schema": ""}, 'Schema "" is not known: '),
        ({"schema": "\x1b[2J"}, r'Schema "\x1b[2J" is not known: '),
    ],
)
def test_what_is_not_known_is_told_and_narrows_nothing_down(
    asked: dict[str, str], told: str
) -> None:
    search = read(**asked)
    (problem,) = search.problems
    assert problem.startswith(told)
    assert search.is_empty
    assert names(search) == ALL


def test_the_rest_of_a_text_with_an_unknown_term_counts() -> None:
    search = read("stat:tampered app:past kind:readonly")
    assert len(search.problems) == 1
    assert names(search) == ["Payroll", "Customer"]


def test_names_that_differ_in_case_alone_are_told_apart_if_written_exactly() -> None:
    both = [
        inspected("past.Invoice:protect_deletes", schema="Tenant"),
        inspected("past.Invoice:protect_deletes", schema="tenant"),
    ]

    def schemas(value: str) -> list[str | None]:
        search = read_search(QueryDict(urlencode({"schema": value})), both)
        return [one.trigger.schema for one in both if search.matches(one)]

    assert schemas("Tenant") == ["Tenant"]
    assert schemas("tenant") == ["tenant"]
    assert schemas("TENANT") == ["Tenant", "tenant"]


def test_a_count_is_what_its_link_would_show() -> None:
    """Values of one field are alternatives, so a field's own filter does not count for it."""
    for asked in ({}, {"status": "TAMPERED"}, {"app": "past"}, {"text": "protect"}):
        search = read(**asked)
        counts = counted(search, every())
        for field in FIELDS:
            for value, number in counts[field.name].items():
                text = {"text": asked["text"]} if "text" in asked else {}
                others = {
                    key: one for key, one in asked.items() if key not in (field.name, "text")
                }
                alone = read(**text, **others, **{field.name: value})
                assert len(names(alone)) == number, (asked, field.name, value)
    assert counted(read(), every())["status"]["INSTALLED"] == 4
    assert counted(read(app="past"), every())["status"]["INSTALLED"] == 2
    assert counted(read(status="TAMPERED"), every())["status"]["INSTALLED"] == 4
    assert counted(read(status="TAMPERED"), every())["app"]["tutorial"] == 0


def test_a_filter_is_told_in_words() -> None:
    search = read("kind:protect invoice", status=["TAMPERED", "FOREIGN"], app="past")
    assert sentence(search) == (
        "Status is TAMPERED or FOREIGN and App is past and Kind is Protect "
        'and the name contains "invoice"'
    )
    assert sentence(read()) == ""
