"""Keeps a transaction open until the session is revoked."""

# policy: session
# session: past.Receipt:append_only
# expect: refused TO005

from __future__ import annotations

from tests.tampering.world import World


def attack(world: World) -> None:
    world.run("BEGIN; SELECT trigger_ops_enter('<session>'); UPDATE past_receipt SET number = 'x'")
    world.run("SELECT trigger_ops_close(<session>, 'revoked', 'user:bob', '')", world.connect())
    world.run("COMMIT")
