"""Forms that act once: each has a text of its own, which its login may spend one time.

The texts are signed, so that to show a form writes nothing. What a login keeps is which ones it
spent.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from django.core.signing import BadSignature, Signer
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

SENT_BEFORE = gettext_lazy(
    "This form was sent before: look at what it did before you send it again."
)

_KEY = "trigger_ops.spent"
_KEPT = 100
"""So many that were spent a login keeps; those of forms older than what it let go are refused."""


def issue(request: HttpRequest) -> str:
    """Return a new text for a form."""
    return _signer(request).sign(f"{time.time_ns()}.{secrets.token_urlsafe(9)}")


def spend(request: HttpRequest, nonce: str) -> bool:
    """Tell whether a form is sent for the first time; from now on it is not."""
    try:
        one = _signer(request).unsign(nonce)
        issued = _issued(one)
    except (BadSignature, ValueError):
        return False
    oldest, spent = _spent_by(request)
    if issued <= oldest or one in spent:
        return False
    spent = sorted([*spent, one], key=_issued)
    let_go, kept = spent[:-_KEPT], spent[-_KEPT:]
    if let_go:
        oldest = _issued(let_go[-1])
    request.session[_KEY] = [oldest, kept]
    request.session.save()
    return True


def _spent_by(request: HttpRequest) -> tuple[int, list[str]]:
    """Return the age of what is refused as too old, and what was spent since."""
    # Read anew: a second click may have been answered since this request began.
    stored: Any = type(request.session)(request.session.session_key).load()
    oldest, spent = stored.get(_KEY, (0, []))
    return int(oldest), list(spent)


def _signer(request: HttpRequest) -> Signer:
    return Signer(salt=f"{_KEY}.{request.user.pk}")


def _issued(one: str) -> int:
    return int(one.partition(".")[0])
