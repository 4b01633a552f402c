"""Has COMMIT's check done before the revoke: revoking ends the connection for that."""

# policy: session
# session: past.Receipt:append_only
# expect: session 3 decided 1 changed

from __future__ import annotations

from tests.tampering.world import World


def attack(world: World) -> None:
    world.run("BEGIN; SELECT trigger_ops_enter('<session>'); UPDATE past_receipt SET number = 'x'")
    world.run("SET CONSTRAINTS ALL IMMEDIATE")
    world.run("SELECT trigger_ops_close(<session>, 'revoked', 'user:bob', '')", world.connect())
    world.run("COMMIT")
