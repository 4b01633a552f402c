"""Every error this package raises on purpose. The docstring is the default message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _


class Sentence(str):
    """A text in English, which a page can tell in the language of whoever looks.

    Commands, logs and records have it as it is, in one language. ``template`` is marked with
    ``gettext_noop`` where it is written.
    """

    __slots__ = ("template", "values")

    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, **values: object) -> Sentence:
        found = super().__new__(cls, template % values if values else template)
        found.template, found.values = template, values
        return found

    def told(self) -> str:
        """Return it in the language that is active, in English where there is no translation."""
        if not self.values:
            return gettext(self.template) if self.template else ""
        values = {
            name: value.told() if isinstance(value, Sentence) else value
            for name, value in self.values.items()
        }
        return gettext(self.template) % values


class TriggerOpsError(Exception):
    """Something went wrong in trigger_ops."""

    def __init__(self, message: str | None = None, **values: object) -> None:
        said = message or self.__doc__ or ""
        self.sentence = said if isinstance(said, Sentence) else Sentence(said, **values)
        super().__init__(str(self.sentence))

    def told(self) -> str:
        """Return what it says in the language that is active; ``str()`` is English always."""
        return self.sentence.told()


class UnknownSelector(TriggerOpsError):
    """No registered trigger matches the selector."""


class UnknownDatabase(TriggerOpsError):
    """settings.DATABASES has no such alias."""


class UnknownSchema(TriggerOpsError):
    """The database has no such schema."""


class UnknownSession(TriggerOpsError):
    """There is no session of that number."""


class BadSettings(TriggerOpsError):
    """The TRIGGER_OPS setting cannot be used as it is."""


class DatabaseUnreadable(TriggerOpsError):
    """The database could not be read."""


class NotRecorded(TriggerOpsError):
    """The check could not be recorded: run manage.py migrate trigger_ops."""


class UnknownFinding(TriggerOpsError):
    """There is no such open finding."""


class BadDuration(TriggerOpsError):
    """That is no duration: write 250ms, 30s, 15m, 2h or 1d."""


class Refused(TriggerOpsError):
    """Nothing was changed: the plan cannot be carried out as it is."""


class StalePlan(Refused):
    """The plan file is not what would be done now."""


class SessionRefused(Refused):
    """The session cannot be opened, reviewed, extended or ended as was asked."""


class SessionOver(Refused):
    """The session has expired, was revoked or has ended."""


class NotDecorable(TriggerOpsError, TypeError):
    """A session cannot be put round this function."""


class Busy(TriggerOpsError):
    """Nothing was changed: somebody else is at work, and it is safe to try again."""


def nearest(name: str, known: Iterable[str]) -> Sentence:
    """Return the second half of a message: the nearest known name, or all there are."""
    by_lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    if near:
        return Sentence(_('did you mean "%(name)s"?'), name=by_lower[near[0]])
    some = ", ".join(sorted(by_lower.values())[:8])
    return (
        Sentence(_("there are: %(some)s."), some=some) if some else Sentence(_("there are none."))
    )
