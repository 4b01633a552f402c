from __future__ import annotations

import re
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from tests.rendering.examples import a_catalog_trigger, a_trigger
from trigger_ops.rendering.differences import as_diff, hunk
from trigger_ops.states import Enabled, Facet, Status, Verdict


def test_a_changed_body_is_one_hunk_with_its_whole_text() -> None:
    gutted = a_trigger(
        status=Status.TAMPERED,
        verdict=Verdict.TAMPERED,
        facets=(Facet.BODY,),
        installed=a_catalog_trigger(body="\nBEGIN\n    RETURN OLD;\nEND;\n"),
    )
    assert as_diff([gutted], colour=False).splitlines() == [
        "--- registered shop.Order:no_del",
        "+++ installed shop.Order:no_del (default public.shop_order)",
        "@@ -1,5 +1,5 @@ body",
        " ",
        " BEGIN",
        "-    RAISE EXCEPTION 'no';",
        "+    RETURN OLD;",
        " END;",
        " ",
    ]


def test_each_facet_has_a_hunk_of_its_own() -> None:
    changed = a_trigger(
        facets=(Facet.TIMING, Facet.ENABLED),
        enabled=Enabled.DISABLED,
        installed=a_catalog_trigger(type_bits=9),
        reason="",
    )
    assert as_diff([changed], colour=False).splitlines()[2:] == [
        "@@ -1 +1 @@ timing",
        "-timing: BEFORE",
        "+timing: AFTER",
        "@@ -1 +1 @@ enabled",
        "-enabled: ENABLED",
        "+enabled: DISABLED",
    ]


def test_a_missing_trigger_says_so_and_shows_only_what_the_code_has() -> None:
    missing = a_trigger(
        status=Status.UNINSTALLED,
        verdict=Verdict.MISSING,
        enabled=Enabled.NOT_APPLICABLE,
        installed=None,
    )
    lines = as_diff([missing], colour=False).splitlines()
    assert lines[1] == "+++ installed shop.Order:no_del (default public.shop_order): not installed"
    assert {line[0] for line in lines[2:]} == {"@", "-"}


def test_an_orphan_says_so_and_shows_only_what_is_there() -> None:
    orphan = a_trigger(status=Status.PRUNE, verdict=Verdict.ORPHANED, registered=None)
    lines = as_diff([orphan], colour=False).splitlines()
    assert lines[1].endswith(": not in the code")
    assert {line[0] for line in lines[2:]} == {"@", "+"}


def test_what_could_not_be_read_is_named_with_its_reason() -> None:
    unknown = a_trigger(
        status=Status.UNKNOWN,
        verdict=Verdict.UNVERIFIED,
        installed=None,
        schema=None,
        reason="the server is down",
    )
    assert as_diff([unknown], colour=False).splitlines() == [
        "--- registered shop.Order:no_del",
        "+++ installed shop.Order:no_del (default shop_order): the server is down",
    ]


def test_nothing_gives_no_text() -> None:
    assert as_diff([], colour=True) == ""


def test_colour_adds_codes_and_nothing_else() -> None:
    changed = a_trigger(facets=(Facet.BODY,), installed=a_catalog_trigger(body="x"))
    painted = as_diff([changed], colour=True)
    assert re.sub(r"\x1b\[\d+m", "", painted) == as_diff([changed], colour=False)
    assert "\x1b[92m+x\x1b[0m" in painted


def test_a_hostile_body_cannot_move_the_cursor() -> None:
    body = "BEGIN \x1b[2J\r-- \u202e\nEND"
    (line,) = [line for line in hunk(Facet.BODY, "", body) if "BEGIN" in line]
    assert line == r"+BEGIN \x1b[2J\r-- \u202e"


TEXTS = st.text(st.sampled_from("ab \n\t\r\x0b\u2028"), max_size=12)


@given(registered=TEXTS, installed=TEXTS)
def test_two_bodies_differ_exactly_when_their_hunk_does(registered: str, installed: str) -> None:
    assert bool(hunk(Facet.BODY, registered, installed)) == (registered != installed)


@given(registered=TEXTS, installed=TEXTS)
def test_both_bodies_can_be_read_back_from_their_hunk(registered: str, installed: str) -> None:
    lines = hunk(Facet.BODY, registered, installed)[1:]
    for mark, text in (("-", registered), ("+", installed)):
        shown = [line[1:] for line in lines if line[0] in (" ", mark)]
        spelled = text.replace("\r", r"\r").replace("\x0b", r"\x0b").replace("\u2028", r"\u2028")
        if lines and text:
            assert "\n".join(shown) == spelled


def test_every_status_that_differs_has_a_heading() -> None:
    number = count()
    ones = [
        a_trigger(uri=f"a.B:{next(number)}", status=status, verdict=verdict, installed=None)
        for status in Status
        for verdict in Verdict
    ]
    headings = [
        line for line in as_diff(ones, colour=False).splitlines() if line.startswith("---")
    ]
    assert headings == [f"--- registered {one.uri}" for one in ones]
