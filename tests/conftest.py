from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import hypothesis
import pytest

from tests.copies import Copies
from tests.never_skipped import pytest_make_collect_report, pytest_runtest_makereport
from tests.site import fresh_site, site, site_execute

__all__ = [
    "copies",
    "fresh_site",
    "pytest_make_collect_report",
    "pytest_runtest_makereport",
    "site",
    "site_execute",
]

# A slow machine is no failure.
hypothesis.settings.register_profile("trigger_ops", deadline=None)
hypothesis.settings.load_profile("trigger_ops")


def pytest_collection_finish() -> None:
    """Let the collector alone with what is there for good: Django, the models and all tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session")
def copies() -> Iterator[Callable[[str], Copies]]:
    """Return a function that returns the copies of a database, by its name."""
    made: dict[str, Copies] = {}

    def of(template: str) -> Copies:
        if template not in made:
            made[template] = Copies(template)
        return made[template]

    yield of
    for one in made.values():
        one.close()
