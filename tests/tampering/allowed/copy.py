"""COPY of rows that may be added."""

# policy: session
# expect: changed

from __future__ import annotations

from tests.database.acts import copy_in
from tests.tampering.world import World


def attack(world: World) -> None:
    copy_in(world.attacker, "COPY past_receipt (id, number) FROM STDIN", "9\tn\n10\to\n")
