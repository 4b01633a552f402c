"""The setting in the environment of the client."""

# policy: record
# expect: unattributed 3 decisions 1 changed

from __future__ import annotations

from unittest import mock

from tests.damage import pgid
from tests.tampering.world import World


def attack(world: World) -> None:
    ignore = f"-c pgtrigger.ignore={{{pgid('past.Receipt:append_only')}}}"
    with mock.patch.dict("os.environ", PGOPTIONS=ignore):
        world.run("UPDATE past_receipt SET number = 'x'", world.connect())
