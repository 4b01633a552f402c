"""Another connection, while a session is open."""

# policy: session
# session: past.Receipt:append_only
# expect: refused P0001

from __future__ import annotations

from tests.tampering.world import World


def attack(world: World) -> None:
    world.run("BEGIN; SELECT trigger_ops_enter('<session>')")
    world.run("UPDATE past_receipt SET number = 'x'", world.connect())
