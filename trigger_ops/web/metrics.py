"""The metrics for Prometheus, as a page: what was recorded, for whoever may see it."""

from __future__ import annotations

import hmac
import logging
import time

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError, transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from trigger_ops import conf
from trigger_ops.api.measuring import measure_recorded
from trigger_ops.exceptions import BadSettings, TriggerOpsError
from trigger_ops.metrics import CONTENT_TYPE, as_text

LOGGER = logging.getLogger("trigger_ops")

CACHE_SECONDS = 10.0
"""For so long a process answers with what it has read, however often it is asked."""

PERMISSION = "trigger_ops.view_trigger"

_SCHEME = "bearer "
_kept: list[tuple[float, str]] = []


class Denied(Exception):
    """Whoever asks may not see it: a sentence and a status."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


@login_not_required
@transaction.non_atomic_requests
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with the metrics of what was recorded; look at no trigger, and write nothing.

    For a request with ``TRIGGER_OPS["METRICS_TOKEN"]``, or of a staff user who may view triggers.
    Whatever is wrong is told in one sentence, with status 401, 403 or 503.
    """
    try:
        _admit(request)
        return _answer(_text(), 200, content_type=CONTENT_TYPE)
    except Denied as denied:
        return _answer(f"{denied}\n", denied.status)
    except TriggerOpsError as error:
        return _answer(f"{error}\n", 503)
    except (DatabaseError, InterfaceError) as error:
        LOGGER.warning("trigger_ops: the metrics cannot be shown: %s", error)
        return _answer("The database that knows you cannot be asked: try again later.\n", 503)


def forget() -> None:
    """Read anew at the next request."""
    _kept.clear()


def _text() -> str:
    now = time.monotonic()
    for since, text in _kept[-1:]:
        if now - since < CACHE_SECONDS:
            return text
    text = as_text(measure_recorded())
    _kept[:] = [(now, text)]
    return text


def _admit(request: HttpRequest) -> None:
    """Raise :class:`Denied` unless the request may see the metrics."""
    token = _token()
    given = request.headers.get("Authorization", "")
    if token and given[: len(_SCHEME)].lower() == _SCHEME:
        # WSGI decodes headers as Latin-1, whatever they are.
        sent = given[len(_SCHEME) :].strip().encode("latin-1", "replace")
        if hmac.compare_digest(sent, token.encode()):
            return
        raise Denied('The token is not that of TRIGGER_OPS["METRICS_TOKEN"].', 401)
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        if token:
            raise Denied('Send TRIGGER_OPS["METRICS_TOKEN"] as "Authorization: Bearer …".', 401)
        raise Denied(
            'Log in as staff, or set TRIGGER_OPS["METRICS_TOKEN"] and send it as '
            '"Authorization: Bearer …".',
            403,
        )
    if not (user.is_staff and user.has_perm(PERMISSION)):
        raise Denied(f"This takes a staff user with the permission {PERMISSION}.", 403)


def _token() -> str:
    """Return the token to be sent, or an empty text. What stands there instead is not repeated."""
    try:
        return conf.metrics_token().strip()
    except BadSettings:
        raise BadSettings('TRIGGER_OPS["METRICS_TOKEN"] must be a text.') from None


def _answer(
    text: str, status: int, *, content_type: str = "text/plain; charset=utf-8"
) -> HttpResponse:
    response = HttpResponse(text, status=status, content_type=content_type)
    response["Cache-Control"] = "no-store"
    if status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="trigger_ops"'
    return response
