from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.conftest import make_database, migrated_database, own_database, second_connection
from tests.management.conftest import site
from tests.sinks import MailSink, WebSink, mail_sink, web_sink

__all__ = ["make_database", "migrated_database", "own_database", "second_connection", "site"]


@pytest.fixture
def web() -> Iterator[WebSink]:
    """A web service on loopback that takes everything."""
    with web_sink() as sink:
        yield sink


@pytest.fixture
def mail() -> Iterator[MailSink]:
    """A mail server on loopback that takes everything."""
    with mail_sink() as sink:
        yield sink
