from __future__ import annotations

import pytest

from trigger_ops.rendering.wording import aligned, counted, place, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("shop.Order:no_del", "shop.Order:no_del"),
        ("Größe", "Größe"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("line\nbreak", r"line\nbreak"),
        ("right\u202eleft", r"right\u202eleft"),
        ("half\ud800pair", r"half\ud800pair"),
        ("back\\slash", "back\\slash"),
    ],
)
def test_invisible_characters_are_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_kept_character_stays() -> None:
    assert printable("\tx\r", keep="\t") == "\tx\\r"


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 triggers"), (1, "1 trigger"), (20_000, "20,000 triggers")]
)
def test_numbers_and_nouns_agree(number: int, words: str) -> None:
    assert counted(number, "trigger") == words


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        (("default", "public", "t"), "default public.t"),
        (("default", None, "t"), "default t"),
        (("default", None, None), "default"),
    ],
)
def test_a_place_is_as_exact_as_it_is_known(
    parts: tuple[str, str | None, str | None], shown: str
) -> None:
    assert place(*parts) == shown


def test_columns_line_up_without_blanks_at_the_ends() -> None:
    assert aligned([["a", "bb", "c"], ["aaa", "b", ""]]) == ["a   bb c", "aaa b"]
