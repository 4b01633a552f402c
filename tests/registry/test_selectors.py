"""Selectors: what each form matches, and what a typo is told."""

from __future__ import annotations

import pytest

from trigger_ops.exceptions import UnknownSelector
from trigger_ops.registry import registered_triggers
from trigger_ops.registry.selectors import select

INVOICE = "past.Invoice:protect_deletes"


def chosen(*selectors: str) -> list[str]:
    return [one.uri for one in select(registered_triggers(), selectors)]


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ((INVOICE,), [INVOICE]),
        (("past.Invoice",), [INVOICE]),
        (("past.Invoice", INVOICE), [INVOICE]),
        (("past.In*",), [INVOICE]),
        (("past.Payroll", "past.Invoice"), ["past.Payroll:read_only_employee", INVOICE]),
    ],
)
def test_what_a_selector_matches(selectors: tuple[str, ...], expected: list[str]) -> None:
    assert chosen(*selectors) == expected


def test_a_glob_matches_uris() -> None:
    # As a set: a test that registers a trigger anew moves it to the end of the registry.
    assert set(chosen("past.*:protect_deletes")) == {
        f"past.{model}:protect_deletes" for model in ("Invoice", "Contract", "Shipment")
    }


def test_an_app_is_all_of_its_triggers_and_nothing_is_everything() -> None:
    everything = [one.uri for one in registered_triggers()]
    assert chosen() == everything
    assert chosen("past") == [uri for uri in everything if uri.startswith("past.")]
    assert chosen("*") == everything


@pytest.mark.parametrize(
    ("selector", "hint"),
    [
        ("past.Invoice:protect_delete", f'did you mean "{INVOICE}"?'),
        ("past.invoice", 'did you mean "past.Invoice"?'),
        ("pats", 'did you mean "past"?'),
        ("past.Zebra*", "No registered trigger matches"),
        ("", "No registered trigger matches"),
    ],
)
def test_what_matches_nothing_is_told_the_nearest(selector: str, hint: str) -> None:
    with pytest.raises(UnknownSelector) as caught:
        chosen(selector)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_selector_where_nothing_is_registered_says_so() -> None:
    with pytest.raises(UnknownSelector, match="none is registered at all"):
        select([], ["past"])
