from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management.base import OutputWrapper

from trigger_ops.management.streams import environment_colour, wants_colour, write_data


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("flags", "environ", "added"),
    [
        ({}, {}, {}),
        ({}, {"NO_COLOR": "1"}, {"no_color": True}),
        ({}, {"NO_COLOR": ""}, {}),
        ({}, {"DJANGO_COLORS": "nocolor"}, {"no_color": True}),
        ({}, {"FORCE_COLOR": "1"}, {"force_color": True}),
        ({}, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, {"no_color": True}),
        ({"force_color": True}, {"NO_COLOR": "1"}, {}),
        ({"no_color": True}, {"FORCE_COLOR": "1"}, {}),
    ],
)
def test_a_flag_wins_over_the_environment(
    flags: dict[str, bool], environ: dict[str, str], added: dict[str, bool]
) -> None:
    assert environment_colour(flags, environ) == added


@pytest.mark.parametrize(
    ("stream", "flags", "term", "coloured"),
    [
        (io.StringIO, {}, "xterm", False),
        (io.StringIO, {"force_color": True}, "xterm", True),
        (Terminal, {}, "xterm", True),
        (Terminal, {}, "dumb", False),
        (Terminal, {"no_color": True}, "xterm", False),
    ],
)
def test_colour_is_for_terminals(
    stream: Any, flags: dict[str, bool], term: str, *, coloured: bool, monkeypatch: Any
) -> None:
    monkeypatch.setenv("TERM", term)
    assert wants_colour(OutputWrapper(stream()), flags) is coloured


def test_no_text_writes_nothing() -> None:
    stream = io.StringIO()
    write_data(OutputWrapper(stream), "")
    assert stream.getvalue() == ""


def test_a_stream_that_cannot_show_a_character_gets_its_escape() -> None:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii")
    write_data(OutputWrapper(stream), "Größe ━")
    assert buffer.getvalue() == rb"Gr\xf6\xdfe \u2501" + b"\n"


class Broken(io.StringIO):
    """A pipe of the caller's whose reader has left."""

    def write(self, _: str) -> int:
        raise BrokenPipeError

    def fileno(self) -> int:
        return 99


def test_a_callers_own_broken_pipe_is_the_callers_to_know() -> None:
    with pytest.raises(BrokenPipeError):
        write_data(OutputWrapper(Broken()), "text")
