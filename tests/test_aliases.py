from __future__ import annotations

import pytest

from trigger_ops.aliases import for_migrate, for_pgtrigger


@pytest.mark.parametrize(
    ("alias", "verb", "migrate"),
    [
        ("default", "", ""),
        ("archive", " -d archive", " --database archive"),
        ("old; files", " -d 'old; files'", " --database 'old; files'"),
    ],
)
def test_a_printed_command_names_every_database_but_the_default(
    alias: str, verb: str, migrate: str
) -> None:
    assert (for_pgtrigger(alias), for_migrate(alias)) == (verb, migrate)
