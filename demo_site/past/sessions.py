"""Sessions of the demo: one that is over, one that is active, and one that waits for approval.

Ann asks for them, Ben approves. An active one is opened anew when the demo starts and has none.
"""

from __future__ import annotations

import contextlib
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from demo_site.past.models import Receipt
from trigger_ops import api
from trigger_ops.exceptions import SessionRefused
from trigger_ops.planner import Request
from trigger_ops.records import Actor
from trigger_ops.states import SessionState, Verb
from trigger_ops.web.people import actor_of_user

OPERATOR, REVIEWER = "ann", "ben"

#: What each may do beside looking at triggers, sessions and what was recorded.
PERMISSIONS = {
    OPERATOR: ("request_session", "change_receipt", "change_customer", "delete_contract"),
    REVIEWER: ("review_session", "revoke_session", "view_change"),
}

_VIEWS = ("view_trigger", "view_session", "view_driftrun", "view_driftfinding", "view_ledgerentry")
_LOOKS = (*_VIEWS, "view_receipt", "view_customer", "view_contract")

RECEIPT = "past.Receipt:append_only"
CUSTOMER = "past.Customer:read_only_email"
CONTRACT = "past.Contract:protect_deletes"


def begin(password: str) -> None:
    """Put the guard in place, and have one session that is over. The migrations must have run."""
    plan = api.plan(Request(verb=Verb.GUARD_INSTALL, databases=("default",)))
    api.apply(plan, actor="os:deploy@demo", reason="CHG-20: who goes past a trigger is seen")
    ann = _person(OPERATOR, password)
    reason = "R-2 was typed wrong: the paper says R-20"
    with api.session(RECEIPT, reason=reason, ticket="INC-9", actor=ann):
        Receipt.objects.filter(number="R-2").update(number="R-20")


def go_on(password: str) -> None:
    """Have one session that is active and one that waits, unless the user took the guard away."""
    ann, ben = _person(OPERATOR, password), _person(REVIEWER, password)
    with contextlib.suppress(SessionRefused):
        if not api.list_sessions(states=[SessionState.ACTIVE], limit=1):
            number = _ask(ann, "E. Falk has married: her new address is on form 88", CUSTOMER)
            api.review_session(number, reviewer=ben, verdict="approve", remark="So it is.")
        if not api.list_sessions(states=[SessionState.PENDING], limit=1):
            _ask(ann, "Holm & Sons want their data deleted: see the letter", CUSTOMER, CONTRACT)


def _ask(ann: Actor, reason: str, *uris: str) -> int:
    found = api.open_session(*uris, reason=reason, ticket="INC-41", actor=ann, duration="4h")
    return found.id


def _person(name: str, password: str) -> Actor:
    users = get_user_model().objects
    user: Any = users.filter(username=name).first()
    if user is None:
        user = users.create_user(name, f"{name}@example.org", password, is_staff=True)
        may = Permission.objects.filter(codename__in=(*_LOOKS, *PERMISSIONS[name]))
        user.user_permissions.set(may)
    return actor_of_user(user)
