"""COPY, with the setting."""

# policy: record
# expect: changed

from __future__ import annotations

from tests.database.acts import copy_in
from tests.tampering.world import World


def attack(world: World) -> None:
    world.run("BEGIN; SELECT set_config('pgtrigger.ignore', '{<past.Receipt:append_only>}', true)")
    copy_in(world.attacker, "COPY past_receipt (id, number) FROM STDIN", "9\tn\n")
    world.run("COMMIT")
