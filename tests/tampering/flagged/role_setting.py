"""The setting of a role, for all its connections."""

# policy: session
# expect: refused TO001

from __future__ import annotations

from tests.tampering.world import World


def attack(world: World) -> None:
    world.run("ALTER ROLE <role> SET pgtrigger.ignore = '{<past.Receipt:append_only>}'")
    other = world.connect(USER=world.role, PASSWORD="app")
    other.ensure_connection()
    # Other tests look at all roles of the server.
    world.run("ALTER ROLE <role> RESET pgtrigger.ignore")
    world.run("UPDATE past_receipt SET number = 'x'", other)
