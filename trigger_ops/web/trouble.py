"""What stands in the way of a page, and what to do next: said of errors of a database."""

from __future__ import annotations

from django.utils.translation import gettext as _

from trigger_ops.catalog.transactions import first_line
from trigger_ops.rendering.wording import printable
from trigger_ops.sessions.refusals import state_of

_NO_RIGHT = "42501"
_SILENCE = ("08", "53", "57P")
"""How the SQLSTATEs begin of a server that is away, full, or about to stop."""


def is_refusal(error: BaseException) -> bool:
    """Tell whether a server answered, and said no."""
    state = _state(error)
    return bool(state) and not state.startswith(_SILENCE)


def refusal(error: BaseException) -> str:
    """Return what it said, in a sentence."""
    return _("The database refuses to show this: %(said)s.") % {
        "said": printable(first_line(error))
    }


def next_step(error: BaseException) -> str:
    """Return what to do about it, "" where the error's own sentence says so."""
    if _state(error) == _NO_RIGHT:
        return _(
            "Next step: let the role that the project connects as read it (GRANT SELECT ON … "
            "TO …), then look again."
        )
    if "manage.py" in str(error):
        return ""
    return _("Next step: see to it that the database can be read, then look again.")


def _state(error: BaseException) -> str:
    cause = error.__cause__
    return state_of(error) or (state_of(cause) if cause is not None else "")
