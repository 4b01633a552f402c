"""The options of destinations: which there are, and what of them is never repeated."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from trigger_ops.exceptions import BadSettings, nearest

_ADDRESS = re.compile(
    r"(?i)\b([a-z][a-z0-9+.-]*://)(?:[^\s/@\"'<>]*@)?([^\s/@?#\"'<>]*)[^\s\"'<>]*"
)
_NO_SECRETS = ("to", "from_email", "subject_prefix", "timeout")
_SHORT = 4


def known_only(name: str, options: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse an option that a backend does not have.

    Raises:
        BadSettings: naming the nearest.
    """
    for key in options:
        if key not in known:
            raise BadSettings(
                f'TRIGGER_OPS["NOTIFY"], "{name}" has no option "{key}": {nearest(key, known)}'
            )


def without_secrets(sentence: str, options: Mapping[str, Any]) -> str:
    """Return a sentence in which neither an option's text stands nor more of a URL than its host.

    What backends of others say may repeat anything. Options that are no secret are left.
    """
    texts = [one for key, value in options.items() if key not in _NO_SECRETS for one in _in(value)]
    sentence = _ADDRESS.sub(r"\1\2", sentence)
    for text in sorted({part for one in texts for part in _parts(one)}, key=len, reverse=True):
        if len(text) >= _SHORT:
            sentence = sentence.replace(text, "***")
    return sentence


def _parts(text: str) -> Iterator[str]:
    """Yield a text, or what of a URL is not for everybody's eyes."""
    if "://" not in text:
        yield text
        return
    login, _, rest = text.partition("://")[2].rpartition("@")
    yield from login.split(":", 1)
    path = rest.partition("/")[2]
    yield from (f"/{path}", path, *re.split(r"[?#&]", path))


def _in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _in(one)
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _in(one)
