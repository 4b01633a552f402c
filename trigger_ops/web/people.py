"""Who asks, as sessions and the ledger know people."""

from __future__ import annotations

from typing import Any

from trigger_ops.records import Actor


def actor_of_user(user: Any) -> Actor:
    """Return a user of Django as an actor: ``user:NAME``, with key and e-mail."""
    email = user.get_email_field_name() if hasattr(user, "get_email_field_name") else ""
    return Actor(
        name=f"user:{user.get_username()}",
        key=str(user.pk),
        email=str(getattr(user, email, "") or "") if email else "",
    )
