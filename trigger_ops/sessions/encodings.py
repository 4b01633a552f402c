"""What a database can keep of a text: not every one is in UTF-8."""

from __future__ import annotations

import codecs
import functools
import json
from collections.abc import Iterable, Mapping
from typing import Any


def fitted(text: str, raw: Any) -> str:
    r"""Return a text with every character that a database cannot keep as an escape, ``\u20ac``.

    ``raw`` is the driver's connection, which knows the encodings without asking the server.
    """
    if text.isascii() or raw is None or raw.closed:
        return text
    return escaped(
        text,
        server=raw.info.parameter_status("server_encoding") or "UTF8",
        client=raw.info.parameter_status("client_encoding") or "UTF8",
    )


def escaped(text: str, *, server: str, client: str) -> str:
    """Return a text that is in two encodings, by PostgreSQL's names, with escapes for the rest."""
    for codec in _codecs(server, client):
        text = text.encode(codec, "backslashreplace").decode(codec)
    return text


def json_text(value: object, raw: Any) -> str:
    r"""Return a value as JSON that any database reads.

    There is no ``\u`` for what is beyond ASCII: jsonb refuses that where the encoding is SQL_ASCII.
    """
    return json.dumps(_fitted(value, raw), ensure_ascii=False)


def _fitted(value: Any, raw: Any) -> Any:
    if isinstance(value, str):
        return fitted(value, raw)
    if isinstance(value, Mapping):
        return {_fitted(key, raw): _fitted(one, raw) for key, one in value.items()}
    if isinstance(value, Iterable):
        return [_fitted(one, raw) for one in value]
    return value


@functools.cache
def _codecs(server: str, client: str) -> tuple[str, ...]:
    # A server in SQL_ASCII keeps any bytes, which are UTF-8 here; a client in it can send ASCII.
    names = ["utf-8" if server == "SQL_ASCII" else server]
    names.append("ascii" if client == "SQL_ASCII" else client)
    return tuple(dict.fromkeys(map(_codec, names)))


def _codec(encoding: str) -> str:
    name = encoding.replace("WIN", "cp").replace("KOI8", "koi8_")
    try:
        return codecs.lookup(name).name
    except LookupError:  # Python knows nothing of a few: EUC_TW, MULE_INTERNAL
        return "ascii"
