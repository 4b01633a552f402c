"""What triggers refuse in the admin: said in a sentence, and known before anybody tries."""

from __future__ import annotations

import contextlib
import functools
import re

from django.db import connections, models, router
from django.http import HttpRequest
from django.utils.translation import gettext as _

from trigger_ops import conf
from trigger_ops.api import is_trigger_error, refusal_code
from trigger_ops.exceptions import BadSettings
from trigger_ops.records import SessionRecord
from trigger_ops.registry import RegisteredTrigger, registered_triggers
from trigger_ops.registry.definition import DELETE
from trigger_ops.registry.selectors import matches
from trigger_ops.rendering.wording import printable
from trigger_ops.sessions import current
from trigger_ops.sessions.refusals import state_of

_WRITES_IN = "_trigger_ops_writes_in"
_FUNCTION = re.compile(r'\b(pgtrigger_[\w-]+)"?\(\)')


def sentence_of(error: BaseException) -> str | None:
    """Return what to tell a person whose write was refused, None for any other error.

    Refused is what a trigger of pgtrigger raised, and what a rule of our sessions did.
    """
    source = error if hasattr(error, "diag") else error.__cause__
    diagnosis = getattr(source, "diag", None)
    said = printable(str(getattr(diagnosis, "message_primary", None) or error)).rstrip(".")
    if refusal_code(error) is not None:
        return _("The database refuses this: %(said)s.") % {
            "said": said.removeprefix("trigger_ops: ")
        }
    # Its first line names the function that raised, in whatever language the rest of it is.
    context = str(getattr(diagnosis, "context", None) or "").partition("\n")[0]
    function = _FUNCTION.search(context)
    if not (is_trigger_error(error) or (function and state_of(error) == "P0001")):
        return None
    said = said.removeprefix("pgtrigger: ")
    uris = [one.uri for one in _registered() if function and one.pgid == function[1]]
    if uris:
        return _("The trigger %(uri)s refuses this: %(said)s.") % {"uri": uris[0], "said": said}
    return _("A trigger refuses this: %(said)s.") % {"said": said}


def will_write_in(request: HttpRequest, record: SessionRecord) -> None:
    """Note that what is posted from the page that a request asks for is written in a session."""
    setattr(request, _WRITES_IN, record)


def refusing_deletes(model: type[models.Model], request: HttpRequest | None = None) -> list[str]:
    """Return the URIs of the triggers that refuse every delete of a row of a model.

    They are its own and those of the models that it inherits from, as the code declares them: not
    those that are declared to be off, nor those that stand aside in a session of the running code,
    or in the one that what is posted from the page of ``request`` will be written in.
    """
    tables = {one._meta.concrete_model for one in (model, *model._meta.get_parent_list())}
    protecting = [one for one in _delete_protections() if one.model_class in tables]
    if not protecting:
        return []
    alias = router.db_for_write(model)
    aside = {uri for one in current.sessions_on(connections[alias]) for uri in one.uris}
    record: SessionRecord | None = getattr(request, _WRITES_IN, None)
    if record is not None and record.database == alias:
        aside.update(record.uris)
    return [one.uri for one in protecting if one.uri not in aside and not _declared_off(one)]


def any_refuses_deletes() -> bool:
    """Tell whether any trigger of the project refuses every delete."""
    return bool(_delete_protections())


@functools.cache
def _registered() -> tuple[RegisteredTrigger, ...]:
    return tuple(registered_triggers())


@functools.cache
def _delete_protections() -> tuple[RegisteredTrigger, ...]:
    return tuple(
        one
        for one in _registered()
        if "Protect" in one.kinds
        and one.definition is not None
        and one.definition.events & DELETE
        and not one.definition.condition
    )


def _declared_off(trigger: RegisteredTrigger) -> bool:
    with contextlib.suppress(BadSettings):  # a system check says so
        modes = conf.declared_modes().items()
        found = [mode for selector, mode in modes if matches(trigger, selector)]
        return bool(found) and found[-1] in ("DISABLED", "REPLICA")
    return False
