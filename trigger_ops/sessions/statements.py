"""Statements as they are sent and recorded: templates, literals, and what needs no transaction."""

from __future__ import annotations

import re
from typing import Any

from django.db.backends.postgresql import psycopg_any
from django.db.backends.postgresql.psycopg_any import is_psycopg3, sql

from trigger_ops.sessions.encodings import fitted

LONGEST_TEMPLATE = 10_000
"""Characters of a statement that are recorded; a bulk insert has many that say nothing new."""

# What may hold any word without meaning it; of a block comment only its beginning.
_QUOTED = re.compile(
    r"""--[^\n]*|/\*|(?<![\w$])[eE]'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'|'[^']*'|"[^"]*"
      |(?<![\w$])(\$(?:[^\W\d]\w*)?\$).*?\1""",
    re.DOTALL | re.VERBOSE,
)
_BLOCK_MARK = re.compile(r"/\*|\*/")

# What cannot run in a transaction block, or ends one, or is of no interest to a trigger.
_OUTSIDE = re.compile(
    r"""(?:vacuum|cluster|call|do|reindex|refresh|begin|start|commit|rollback|end|abort|prepare\s+transaction
      |listen|unlisten|discard|show|checkpoint
      |(?:create|drop)\s+(?:unique\s+)?index\s+concurrently
      |(?:create|drop|alter)\s+(?:database|tablespace|subscription)
      |alter\s+system
      |alter\s+table\s.*\bdetach\s+partition\b.*\bconcurrently)\b""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_CHOOSES = re.compile(r"set\s+(?:local\s+)?transaction\b", re.IGNORECASE)
_MUST_BE_FIRST = re.compile(r"\b(?:isolation|snapshot|deferrable)\b", re.IGNORECASE)
_READ_ONLY = re.compile(
    r"(?:begin|start\s+transaction|set\s+(?:local\s+)?transaction)\b.*\bread\s+only\b",
    re.IGNORECASE | re.DOTALL,
)
_SAYS_WRITABLE = re.compile(r"\bread\s+(?:only|write)\b", re.IGNORECASE)
_ENDS = re.compile(r"(?:commit|end|prepare\s+transaction)\b", re.IGNORECASE)
_ROLLS_BACK = re.compile(r"\b(?:rollback|abort)\b", re.IGNORECASE)
_IS_ROLLBACK = re.compile(r"(?:rollback|abort)\b[^;]*;?\s*$", re.IGNORECASE)
_LETS_GO = re.compile(r"\b(?:release|rollback|abort)\b", re.IGNORECASE)
_MARKS = re.compile(r"(?:savepoint|release)\b", re.IGNORECASE)


def beginning(statement: str) -> str:
    """Return a statement without the comments and blanks before it."""
    rest = statement.lstrip()
    while rest.startswith(("--", "/*")):
        rest = (rest.partition("\n")[2] if rest.startswith("--") else _after_block(rest)).lstrip()
    return rest


def _after_block(text: str) -> str:
    """Return what follows a block comment; PostgreSQL's may have others in them."""
    depth = 0
    for mark in _BLOCK_MARK.finditer(text):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return text[mark.end() :]
    return ""


def runs_outside(statement: str) -> bool:
    """Tell whether a statement is sent as it is, even in a session: see the list above."""
    return not statement or bool(_OUTSIDE.match(statement))


def chooses_isolation(statement: str) -> bool:
    """Tell whether a statement sets what its transaction is like."""
    return bool(_CHOOSES.match(statement))


def must_be_first(statement: str) -> bool:
    """Tell whether a statement is refused after any query of its transaction."""
    return chooses_isolation(statement) and bool(_MUST_BE_FIRST.search(statement))


def makes_read_only(statement: str) -> bool:
    """Tell whether nothing can be written in the transaction from a statement on."""
    return bool(_READ_ONLY.match(statement))


def may_make_read_only(statement: str) -> bool:
    """Tell whether the transaction may be read-only after a statement, or not be any more."""
    text = statement.lower()
    if "read" not in text:  # which is cheap: every statement of a session is asked
        return False
    # The setting may be in a literal, for set_config().
    return "transaction_read_only" in text or bool(_SAYS_WRITABLE.search(_outside_quotes(text)))


def may_end_reading(statement: str) -> bool:
    """Tell whether a transaction that is read-only may not be any more after a statement."""
    return bool(_LETS_GO.search(statement)) or may_make_read_only(statement)


def ends_transaction(statement: str) -> bool:
    """Tell whether a statement keeps what its transaction did."""
    return bool(_ENDS.match(statement))


def is_about_transaction(statement: str) -> bool:
    """Tell whether a statement chooses what its transaction is like, ends it, or takes it back."""
    return (
        chooses_isolation(statement)
        or ends_transaction(statement)
        or bool(_IS_ROLLBACK.match(statement))
    )


def rolls_back(text: str) -> bool:
    """Tell whether a text takes something back anywhere in it: it may hold several statements.

    The word has to be one of SQL: in a literal, a quoted name or a comment it means nothing.
    """
    return bool(_ROLLS_BACK.search(text) and _ROLLS_BACK.search(_outside_quotes(text)))


def _outside_quotes(text: str) -> str:
    """Return a text with a blank for each literal, quoted name and comment."""
    kept: list[str] = []
    place = 0
    while mark := _QUOTED.search(text, place):
        kept.append(text[place : mark.start()])
        is_block = mark[0] == "/*"
        place = len(text) - len(_after_block(text[mark.start() :])) if is_block else mark.end()
    return " ".join([*kept, text[place:]])


def is_worth_recording(statement: str) -> bool:
    """Tell whether a statement says anything; savepoints are made by every ``atomic()``."""
    return not _MARKS.match(statement)


def template_of(statement: Any, raw: Any) -> str:
    """Return a statement as it is recorded: with placeholders, never with parameters.

    Literals that somebody typed into the text are part of it. Those of a composed statement
    (``sql.Literal``) are not. What the database cannot keep is an escape: that must not break the
    statement that it is sent with. ``raw`` is the driver's connection.
    """
    text = text_of(statement, raw)
    if len(text) > LONGEST_TEMPLATE:
        text = f"{text[:LONGEST_TEMPLATE]}…"
    return fitted(text, raw)


def text_of(statement: Any, raw: Any) -> str:
    """Return a whole statement with placeholders, as it can be kept as a text."""
    if isinstance(statement, bytes):
        text = statement.decode("utf-8", "replace")
    elif isinstance(statement, str):
        text = statement
    else:
        text = _composed(statement, raw)
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8").strip()


def _composed(statement: Any, raw: Any) -> str:
    if isinstance(statement, sql.Composed):
        return "".join(_composed(part, raw) for part in statement)
    if isinstance(statement, sql.Literal):
        return "%s"
    if isinstance(statement, sql.Composable):
        return str(statement.as_string(raw))
    return str(statement)


def literal(text: str, raw: Any) -> str:
    """Return a text as a literal that means itself whatever the connection's settings are."""
    return str(sql.Literal(text).as_string(raw))


def identifier(name: str, raw: Any) -> str:
    """Return a name as a quoted identifier."""
    return str(sql.Identifier(name).as_string(raw))


def is_named(cursor: Any) -> bool:
    """Tell whether a cursor is the server's, which puts DECLARE before what it is given."""
    return bool(getattr(cursor, "name", None))


def binds_on_server(cursor: Any) -> bool:
    """Tell whether a cursor sends parameters apart from the text, which may then be one statement only."""
    return is_psycopg3 and not isinstance(cursor, psycopg_any.ClientCursor)
