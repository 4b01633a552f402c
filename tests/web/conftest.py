from __future__ import annotations

from collections.abc import Iterator

import pytest

from trigger_ops.web import refusing


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """The triggers of the code are looked up once; tests declare others."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    refusing._registered.cache_clear()
    refusing._delete_protections.cache_clear()
