"""The setting of a database, for everybody."""

# policy: record
# expect: unattributed 3 decisions 1 changed

from __future__ import annotations

from tests.tampering.world import World


def attack(world: World) -> None:
    name = world.own.settings_dict["NAME"]
    world.run(f"ALTER DATABASE {name} SET pgtrigger.ignore = '{{<past.Receipt:append_only>}}'")
    world.run("UPDATE past_receipt SET number = 'x'", world.connect())
