"""Another connection, with the number of a session that is entered elsewhere."""

# policy: session
# session: past.Receipt:append_only
# expect: refused P0001

from __future__ import annotations

from tests.tampering.world import World


def attack(world: World) -> None:
    world.run("BEGIN; SELECT trigger_ops_enter('<session>')")
    other = world.connect()
    world.run("SET trigger_ops.session = '<session>'", other)
    world.run("UPDATE past_receipt SET number = 'x'", other)
