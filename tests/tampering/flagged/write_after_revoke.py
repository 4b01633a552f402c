"""Goes on in a transaction that has entered the session already."""

# policy: session
# session: past.Receipt:append_only
# expect: refused TO002

from __future__ import annotations

from tests.tampering.world import World


def attack(world: World) -> None:
    world.run("BEGIN; SELECT trigger_ops_enter('<session>')")
    world.run("SELECT trigger_ops_close(<session>, 'revoked', 'user:bob', '')", world.connect())
    world.run("UPDATE past_receipt SET number = 'x'")
