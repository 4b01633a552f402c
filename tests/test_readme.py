from __future__ import annotations

import re
import shlex
from collections.abc import Callable

import pytest

from tests.site import ROOT, Site

README = (ROOT / "README.md").read_text(encoding="utf-8")
SESSIONS = [
    (command.strip(), printed.strip("\n"))
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for command, printed in re.findall(r"\$ ([^\n]+)\n((?:(?!\$ )[^\n]*\n)*)", block)
]
MANAGE = [(command, printed) for command, printed in SESSIONS if command.startswith("manage.py")]


@pytest.fixture(scope="module")
def damaged(fresh_site: Callable[[str], Site]) -> Site:
    site = fresh_site("readme")
    for arguments in (("migrate",), ("demo_past",)):
        done = site.manage(*arguments)
        assert done.returncode == 0, done.stderr
    return site


def test_the_readme_has_sessions_to_test() -> None:
    assert [command.split()[2] for command, _ in MANAGE] == ["ls", "diff", "check"]


@pytest.mark.parametrize(("command", "printed"), MANAGE, ids=[command for command, _ in MANAGE])
def test_the_readme_prints_what_the_commands_print(
    damaged: Site, command: str, printed: str
) -> None:
    words, _, echo = command.partition(";")
    done = damaged.manage(*shlex.split(words)[1:])
    if echo:
        printed, _, code = printed.rpartition("\n")
        assert done.returncode == int(code)
    start, elided, _ = printed.partition("…")
    if elided:
        assert done.stdout.startswith(start)
    else:
        assert done.stdout.strip("\n") == start


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_make_target_of_the_readme_exists() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"make ([a-z-]+)`|\$ make ([a-z-]+)", README)) <= {
        (target, "") for target in targets
    } | {("", target) for target in targets}
