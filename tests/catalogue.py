"""Reads a catalogue of translations (.po), and what of a text must be the same in each language."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "trigger_ops"
GERMAN = PACKAGE / "locale" / "de" / "LC_MESSAGES" / "django.po"

_LINE = re.compile(r'(?:(?P<field>msg[a-z_]+(?:\[\d\])?) )?(?P<text>".*")$')
_KEPT = re.compile(
    r"%\(\w+\)[sd]|%[sd]|</?\w[^>]*>|manage\.py \w+|(?<!\w)--[a-z]+|\bLEFT\b"
    r"|\bTRIGGER_OPS\[\"\w+\"\]|\bsettings\.\w+|\b(?:GRANT|SQLSTATE|Meta)\b"
)

_BETWEEN = re.compile(r"%\(\w+\)[sd]|%[sd]|<code>.*?</code>|</?\w[^>]*>")


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A text with its translations: one, or one for each plural form."""

    context: str
    text: str
    plural: str
    translations: tuple[str, ...]
    is_fuzzy: bool

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from others."""
        return self.context, self.text, self.plural

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each translation with the text that it is one of."""
        texts = (self.text, self.plural) if self.plural else (self.text,)
        return list(zip(texts, self.translations, strict=True))


def read_catalogue(path: Path) -> tuple[str, list[Message]]:
    """Return the header of a catalogue, and its messages."""
    header, *messages = map(_message, _blocks(path.read_text(encoding="utf-8")))
    assert header.text == ""
    return header.translations[0], messages


def kept(text: str) -> list[str]:
    """Return what no language may change: placeholders, markup, commands and settings."""
    return sorted(_KEPT.findall(text))


def pieces(messages: list[Message], *, least: int = 13) -> set[str]:
    """Return what stands between the placeholders of texts, where it is long and translated."""
    found: set[str] = set()
    for message in messages:
        for text, told in message.pairs:
            parts = (" ".join(part.split()) for part in _BETWEEN.split(text))
            found |= {part for part in parts if len(part) >= least and part not in told}
    return found


def _blocks(text: str) -> Iterator[list[str]]:
    for block in re.split(r"\n{2,}", text.strip()):
        lines = [line for line in block.splitlines() if not line.startswith("#~")]
        if any(line.startswith("msgid ") for line in lines):
            yield lines


def _message(lines: list[str]) -> Message:
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        found = _LINE.match(line)
        if found:
            name = found["field"] or name
            fields[name] = fields.get(name, "") + ast.literal_eval(found["text"])
        else:
            assert line.startswith("#"), line
    return Message(
        context=fields.get("msgctxt", ""),
        text=fields["msgid"],
        plural=fields.get("msgid_plural", ""),
        translations=tuple(fields[one] for one in sorted(fields) if one.startswith("msgstr")),
        is_fuzzy=any(line.startswith("#,") and "fuzzy" in line for line in lines),
    )
