"""What a form of a page has in it that its login may send once."""

from __future__ import annotations

from django.contrib.auth import get_user
from django.http import HttpRequest
from django.test import Client

from trigger_ops.web.nonces import issue


def nonce(client: Client) -> str:
    """Return what a form has that this login opened just now."""
    return issue(request_of(client))


def request_of(client: Client) -> HttpRequest:
    """Return a request of a login, as the middleware makes it."""
    request = HttpRequest()
    request.session = client.session
    request.user = get_user(request)
    return request
