"""Which ignore session a login works in, and when that ends with the login.

The number is kept in the login's own session, so that another login of the same user is not in it.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_out
from django.db import DatabaseError, InterfaceError, transaction
from django.db.models.signals import post_save
from django.http import HttpRequest

from trigger_ops import api
from trigger_ops.exceptions import TriggerOpsError
from trigger_ops.records import SessionRecord
from trigger_ops.states import SessionState
from trigger_ops.web.people import actor_of_user

LOGGER = logging.getLogger("trigger_ops")

PERMISSION = "trigger_ops.request_session"
SURFACE = "admin"
_KEY = "trigger_ops.session"


@dataclasses.dataclass(frozen=True, slots=True)
class Binding:
    """The session that a login works in: its number, and the alias of its database."""

    session: int
    database: str


def bind(request: HttpRequest, session: int, database: str) -> None:
    """Let this login work in a session, once that is active. It must be the user's own."""
    request.session[_KEY] = [session, database]


def bound(request: HttpRequest) -> Binding | None:
    """Return the session that this login works in, if any; nothing is asked."""
    found = request.session.get(_KEY) if hasattr(request, "session") else None
    return Binding(int(found[0]), str(found[1])) if found else None


def unbind(request: HttpRequest) -> None:
    """Let this login work in no session any more."""
    request.session.pop(_KEY, None)


def may_work(request: HttpRequest, record: SessionRecord) -> bool:
    """Tell whether whoever asks is still the one who opened it, and still allowed to."""
    user: Any = request.user
    return bool(
        user.is_authenticated
        and user.is_active
        and user.is_staff
        and record.opener_key == str(user.pk)
        and user.has_perm(PERMISSION)
    )


def end_quietly(session: int, database: str, user: Any = None) -> None:
    """End a session with its login. What stands in the way is logged: the login ends anyway."""
    actor = actor_of_user(user) if user is not None and user.is_authenticated else None
    try:
        api.end_session(session, actor=actor, using=database)
    except (TriggerOpsError, DatabaseError, InterfaceError) as error:
        LOGGER.warning("trigger_ops: session %s was not ended with its login: %s", session, error)


def follow_logins() -> None:
    """End sessions with the logins that they belong to: at logout, and when a user is changed."""
    user_logged_out.connect(_logged_out, dispatch_uid="trigger_ops.logged_out")
    post_save.connect(_changed, sender=get_user_model(), dispatch_uid="trigger_ops.user_changed")


def _logged_out(request: HttpRequest | None, user: Any = None, **_: Any) -> None:
    binding = bound(request) if request is not None else None
    if binding is not None:
        end_quietly(binding.session, binding.database, user)


def _changed(instance: Any, *, created: bool, using: str | None = None, **_: Any) -> None:
    """End what a user has open in the admin who is locked out, or has another password now."""
    has_new_password = getattr(instance, "_password", None) is not None
    if created or (getattr(instance, "is_active", True) and not has_new_password):
        return
    # Not before it is certain; and the tests of whoever uses us, which commit nothing, ask nothing.
    ends = functools.partial(_end_all_of, instance)
    transaction.on_commit(ends, using=using, robust=True)


def _end_all_of(instance: Any) -> None:
    """End every session that a user opened in the admin."""
    opener = actor_of_user(instance).name
    for alias in api.postgres_aliases():
        try:
            found = api.list_sessions(
                using=alias,
                states=(SessionState.ACTIVE, SessionState.PENDING),
                opener=opener,
            )
        except (TriggerOpsError, DatabaseError, InterfaceError):
            continue  # no guard there, so no session either
        for record in found:
            if record.surface == SURFACE:
                end_quietly(record.id, alias, instance)
