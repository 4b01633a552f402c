"""Forms that act once: each has a text of its own, which its login may spend one time."""

from __future__ import annotations

import secrets

from django.http import HttpRequest

_KEY = "trigger_ops.nonces"
_KEPT = 20
"""So many forms may be open at once in one login; older ones have to be opened again."""


def issue(request: HttpRequest) -> str:
    """Return a new text for a form."""
    nonce = secrets.token_urlsafe(18)
    request.session[_KEY] = [*request.session.get(_KEY, []), nonce][-_KEPT:]
    return nonce


def spend(request: HttpRequest, nonce: str) -> bool:
    """Tell whether a form is sent for the first time; from now on it is not."""
    kept = request.session.get(_KEY, [])
    if not nonce or nonce not in kept:
        return False
    request.session[_KEY] = [one for one in kept if one != nonce]
    request.session.save()
    return True
