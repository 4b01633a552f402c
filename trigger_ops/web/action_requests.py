"""What a form asks to be done: which verb, to which triggers, and what that takes."""

from __future__ import annotations

import dataclasses
import datetime as dt

from django.http import QueryDict
from django.utils.translation import gettext as _

from trigger_ops import conf
from trigger_ops.durations import duration
from trigger_ops.exceptions import UnknownSelector
from trigger_ops.inspection import InspectedTrigger, Scope
from trigger_ops.planner import Request
from trigger_ops.rendering.wording import printable
from trigger_ops.states import Verb
from trigger_ops.web.detail_repair import PERMISSIONS
from trigger_ops.web.evidence import evidence
from trigger_ops.web.keys import Key, parse_key

DESTRUCTIVE = frozenset({Verb.DISABLE, Verb.UNINSTALL, Verb.PRUNE})
"""Verbs after which something is not guarded any more."""

LASTS = "30m"
MOST = 1_000


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """A verb for some triggers. ``typed`` is what has to be typed to confirm it, "" for nothing."""

    verb: Verb
    keys: tuple[Key, ...]
    chosen: tuple[str, ...]
    lasts: str
    typed: str

    @property
    def permission(self) -> str:
        """The permission that it takes."""
        return f"trigger_ops.{PERMISSIONS[self.verb]}"


def asked_of(posted: QueryDict) -> Asked:
    """Read a form.

    Raises:
        UnknownSelector: for no trigger or too many, and for an action that there is not.
    """
    try:
        verb = Verb(posted.get("action", ""))
    except ValueError:
        verb = None
    if verb not in PERMISSIONS:
        raise UnknownSelector(_("There is no such action: choose one in the list."))
    chosen = tuple(dict.fromkeys(posted.getlist("chosen")))
    keys = tuple(parse_key(one) for one in chosen)
    if not keys:
        raise UnknownSelector(_("No trigger is chosen: tick some in the list."))
    if len(keys) > MOST:
        raise UnknownSelector(_("These are too many at once: use manage.py pgtrigger."))
    # As it can be seen, and typed.
    name = printable(keys[0][0].partition(":")[2]) if len(keys) == 1 else str(len(keys))
    return Asked(
        verb=verb,
        keys=keys,
        chosen=chosen,
        lasts=posted.get("for", LASTS) if verb is Verb.DISABLE else "",
        typed=name if verb in DESTRUCTIVE else "",
    )


def plans_of(asked: Asked, actor: str) -> list[Request]:
    """Return what to plan: a request for each database, and for each schema off its path.

    Raises:
        UnknownSelector: for a trigger that is not there any more.
        BadDuration: for what is no duration.
    """
    listing = evidence(afresh=True).listing
    places = {(one.uri, one.database, one.schema): one for one in listing.triggers}
    lasts: dt.timedelta | None = duration(asked.lasts) if asked.lasts else None
    groups: dict[
        tuple[str, tuple[str, ...] | None], list[tuple[str, InspectedTrigger | None]]
    ] = {}
    for uri, database, schema in asked.keys:
        found = places.get((uri, database, schema))
        path = (schema,) if found is None and schema else None
        if found is None and path is None:
            raise UnknownSelector(
                _("There is no %(uri)s on “%(database)s” any more: look at the list again.")
                % {"uri": uri, "database": database}
            )
        groups.setdefault((database, path), []).append((uri, found))
    return [
        Request(
            verb=asked.verb,
            databases=(database,),
            selectors=tuple(uri for uri, one in members if _is_known(uri, one)),
            named=tuple(uri for uri, one in members if not _is_known(uri, one)),
            scope=Scope(path=path),
            lasts=lasts,
            actor=actor,
            lock_timeout=conf.apply_lock_timeout(),
        )
        for (database, path), members in groups.items()
    ]


def _is_known(uri: str, one: InspectedTrigger | None) -> bool:
    """Tell whether code declares a trigger; others are named ``table:trigger``."""
    return one.registered is not None if one is not None else "." in uri.partition(":")[0]
