from __future__ import annotations

from collections.abc import Callable

import pgtrigger as library
import pytest

from demo_site.past import damage
from tests.management.conftest import Result

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db(databases=["default", "archive"])


def test_a_healthy_project_has_no_difference(pgtrigger: Run) -> None:
    assert pgtrigger("diff", "--check") == Result(0, "", "")


@pytest.mark.parametrize(
    ("change", "hunk"),
    [
        (
            damage.disable,
            ["@@ -1 +1 @@ enabled", "-enabled: ENABLED", "+enabled: DISABLED"],
        ),
        (
            damage.outdate,
            [
                "@@ -1 +1 @@ condition",
                (
                    "-((((old.article)::text IS DISTINCT FROM (new.article)::text) "
                    "OR (old.price IS DISTINCT FROM new.price)))"
                ),
                "+(((old.article)::text IS DISTINCT FROM (new.article)::text))",
            ],
        ),
    ],
)
def test_each_facet_that_differs_is_a_hunk(
    change: Callable[[], str], hunk: list[str], pgtrigger: Run
) -> None:
    change()
    result = pgtrigger("diff", "past", "--check")
    assert result.out.splitlines()[2:] == hunk
    assert result.code == 1


def test_a_gutted_body_is_shown_as_it_is(pgtrigger: Run) -> None:
    damage.gut()
    lines = pgtrigger("diff").out.splitlines()
    assert lines[:2] == [
        "--- registered past.Invoice:protect_deletes",
        "+++ installed past.Invoice:protect_deletes (default public.past_invoice)",
    ]
    assert "+            RETURN OLD;" in lines
    assert [line for line in lines if line.startswith("-") and "RAISE EXCEPTION" in line]


def test_missing_and_orphan_triggers_are_shown_whole(pgtrigger: Run) -> None:
    library.uninstall("past.Receipt:append_only")
    damage.orphan()
    text = pgtrigger("diff").out
    assert (
        "+++ installed past.Receipt:append_only (default public.past_receipt): not installed"
        in text
    )
    assert "-events: DELETE OR UPDATE" in text
    assert "): not in the code\n" in text
    assert "+(old.signed)\n" in text


def test_json_gives_both_sides_of_each_facet(pgtrigger: Run) -> None:
    damage.disable()
    damage.gut()
    document = pgtrigger("diff", "past", "--format", "json", "--check").document
    assert {key: document[key] for key in ("schema", "complete", "exit_code")} == {
        "schema": "trigger_ops.diff/1",
        "complete": True,
        "exit_code": 1,
    }
    by_uri = {one["uri"]: one for one in document["triggers"]}
    assert set(by_uri) == {"past.Invoice:protect_deletes", "past.Payroll:read_only_employee"}
    assert by_uri["past.Payroll:read_only_employee"]["diff"] == [
        {"facet": "enabled", "registered": "ENABLED", "installed": "DISABLED"}
    ]
    (body,) = by_uri["past.Invoice:protect_deletes"]["diff"]
    assert "RAISE EXCEPTION" in body["registered"]
    assert "RETURN OLD" in body["installed"]
