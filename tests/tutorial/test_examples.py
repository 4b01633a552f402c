from __future__ import annotations

import re

import pytest

from demo_site.tutorial.examples import EXAMPLES, SNIPPETS, Example
from tests.site import Site

RAISING = {"CannotDelete"}
PRINTING = [example for example in EXAMPLES if example.name not in RAISING]


def _any_id(text: str) -> str:
    return re.sub(r"object \(\d+\)", "object (1)", text)


@pytest.mark.parametrize("example", PRINTING, ids=lambda example: example.name)
def test_snippet_prints_in_the_shell_what_the_tutorial_prints(
    site: Site, example: Example
) -> None:
    done = site.manage("shell", "-c", example.snippet)
    assert done.returncode == 0, done.stderr
    assert _any_id(done.stdout) == _any_id(example.output)


def test_snippet_that_raises_ends_with_the_error_of_the_tutorial(site: Site) -> None:
    done = site.manage("shell", "-c", Example("CannotDelete").snippet)
    assert done.returncode == 1
    assert f"psycopg2.errors.RaiseException: {Example('CannotDelete').output}" in done.stderr


def test_every_file_of_snippets_belongs_to_an_example() -> None:
    expected = {
        f"{example.name}.{suffix}" for example in EXAMPLES for suffix in ("snippet", "out")
    }
    assert {path.name for path in SNIPPETS.iterdir()} == expected
