"""Durations as people write them: ``250ms``, ``30s``, ``15m``, ``2h``, ``1d``."""

from __future__ import annotations

import datetime as dt
import re

from django.utils.translation import gettext_noop as _

from trigger_ops.exceptions import BadDuration

_UNITS = {
    "ms": dt.timedelta(milliseconds=1),
    "s": dt.timedelta(seconds=1),
    "m": dt.timedelta(minutes=1),
    "h": dt.timedelta(hours=1),
    "d": dt.timedelta(days=1),
}
_DURATION = re.compile(r"^(\d{1,9})(ms|s|m|h|d)$")

LONGEST = dt.timedelta(days=366)


def duration(text: str) -> dt.timedelta:
    """Read one duration: a whole number and a unit, more than nothing and at most a year.

    Raises:
        BadDuration: saying how to write one.
    """
    # call_command hands over what it was given: a number has no unit.
    match = _DURATION.match(str(text).strip())
    if match is None:
        raise BadDuration(
            _('"%(text)s" is no duration: write 250ms, 30s, 15m, 2h or 1d.'), text=text
        )
    found = int(match[1]) * _UNITS[match[2]]
    if not dt.timedelta() < found <= LONGEST:
        raise BadDuration(
            _('"%(text)s" must be more than nothing and at most %(days)d days.'),
            text=text,
            days=LONGEST.days,
        )
    return found


def milliseconds(length: dt.timedelta) -> int:
    """Return a duration in whole milliseconds."""
    return length // dt.timedelta(milliseconds=1)


def spelled(length: dt.timedelta) -> str:
    """Write a duration in its largest whole unit, as :func:`duration` reads it."""
    for unit in reversed(_UNITS):
        if length >= _UNITS[unit] and not length % _UNITS[unit]:
            return f"{length // _UNITS[unit]}{unit}"
    return f"{milliseconds(length)}ms"
