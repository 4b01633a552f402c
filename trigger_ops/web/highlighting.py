"""SQL in colours: classes alone, whose colours are in ``pygments.css``."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from pygments.lexers import PostgresLexer  # type: ignore[import-untyped]  # Pygments has no hints
from pygments.token import STANDARD_TYPES, _TokenType  # type: ignore[import-untyped]  # Pygments has no hints

from trigger_ops.rendering.wording import printable

MOST_BYTES = 200_000
MOST_LINES = 5_000
"""A longer text stays without colours, and complete."""

KEPT = 128
"""So many texts a process keeps."""

PREFIX = "hl-"

COLOURED = frozenset(
    {
        *("bp", "c", "c1", "cm", "dl", "err", "k", "kt", "m", "mf", "mi", "nb", "nl", "no", "nv"),
        *("o", "s", "s1", "se"),
    }
)
"""Pygments' short names of the kinds of tokens that the style sheet has a colour for."""

_kept: OrderedDict[str, SafeString] = OrderedDict()
_keeping = threading.Lock()


def highlighted(text: str) -> SafeString:
    """Return SQL as escaped HTML with a span a token; every invisible character is spelled out.

    It is complete, whatever it holds, and goes into a ``<pre>``.
    """
    shown = printable(text, keep="\n\t")
    if len(shown.encode()) > MOST_BYTES or shown.count("\n") >= MOST_LINES:
        return escape(shown)
    key = hashlib.sha256(shown.encode()).hexdigest()
    with _keeping:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    found = _coloured(shown)
    with _keeping:
        _kept[key] = found
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return found


def _coloured(text: str) -> SafeString:
    tokens = list(PostgresLexer(stripnl=False, ensurenl=False).get_tokens(text))
    if "".join(value for _, value in tokens) != text:
        return escape(text)  # a lexer that loses something must not hide it
    return mark_safe("".join(_spans(tokens)))  # noqa: S308 - _spans escapes every value


def _spans(tokens: list[tuple[_TokenType, str]]) -> Iterator[str]:
    for token, value in tokens:
        name = _class_of(token)
        yield f'<span class="{PREFIX}{name}">{escape(value)}</span>' if name else escape(value)


def _class_of(token: _TokenType) -> str:
    """Return the short name of the nearest kind of token that has a colour, "" for plain text."""
    while token is not None and STANDARD_TYPES.get(token) not in COLOURED:
        token = token.parent
    return "" if token is None else str(STANDARD_TYPES[token])
