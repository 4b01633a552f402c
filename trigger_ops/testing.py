"""For the tests of projects that use sessions.

What must outlive a transaction is written over a second connection. In a test that runs in a
transaction and is rolled back, as those of Django's ``TestCase`` and of pytest-django's ``db`` do,
that connection sees nothing of the test, and what it writes stays behind. Inside
:func:`sessions_in_tests` everything is written on the test's own connection, and goes with it::

    from trigger_ops.testing import sessions_in_tests

    class CorrectionTest(TestCase):
        def test_correction(self):
            with sessions_in_tests(), session("shop.Order:no_del", reason="…"):
                ...

With pytest, name this module in ``pytest_plugins``, and ask for the fixture
``sessions_within_tests``. The guard has to be on in the test database: :func:`sessions_in_tests`
does not install it.

There, a failed statement is recorded only if the test's transaction is not rolled back, and
triggers that may be deferred are refused: the test's transaction is around every session. A request
that is refused is recorded in the test, and goes with it; without :func:`sessions_in_tests`, what
is refused in such a test is in the log alone.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator

from trigger_ops.sessions.beside import same_connection

__all__ = ["sessions_in_tests"]


@contextlib.contextmanager
def sessions_in_tests() -> Iterator[None]:
    """Have sessions that are opened inside written on the connection of the test."""
    with same_connection():
        yield


if importlib.util.find_spec("pytest") is not None:
    import pytest

    @pytest.fixture
    def sessions_within_tests(db: None) -> Iterator[None]:
        """Have sessions in this test written on its own connection, and rolled back with it."""
        with sessions_in_tests():
            yield
