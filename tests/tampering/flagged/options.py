"""The setting in what the connection is opened with."""

# policy: session
# expect: refused TO001

from __future__ import annotations

from tests.damage import pgid
from tests.tampering.world import World


def attack(world: World) -> None:
    ignore = f"-c pgtrigger.ignore={{{pgid('past.Receipt:append_only')}}}"
    other = world.connect(USER=world.role, PASSWORD="app", OPTIONS={"options": ignore})
    world.run("UPDATE past_receipt SET number = 'x'", other)
