from __future__ import annotations

import pytest

from tests.site import Site


def test_migrations_say_all_that_the_models_say(site: Site) -> None:
    done = site.manage("makemigrations", "--check", "--dry-run")
    assert (done.returncode, done.stdout) == (0, "No changes detected\n"), done.stdout


@pytest.mark.parametrize("app", ["awkward", "past"])
def test_migrations_can_be_undone_and_done_again(site: Site, app: str) -> None:
    for target in (["zero"], []):
        done = site.manage("migrate", "-v0", app, *target)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("database", ["default", "archive"])
def test_django_finds_nothing_wrong_with_the_site(site: Site, database: str) -> None:
    done = site.manage("check", "--database", database)
    assert done.returncode == 0, done.stderr
