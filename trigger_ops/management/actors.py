"""Who is at the keyboard, for commands."""

from __future__ import annotations

from trigger_ops.sessions.actors import operating_system_actor

__all__ = ["operating_system_actor"]
