"""Reads Prometheus' text format as strictly as its documentation has it."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*"'
_SAMPLE = re.compile(rf"({_NAME})(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? (\S+)")
_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"')
_ESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}

Samples = dict[str, dict[tuple[str, ...], float]]
"""Values by metric, and by the values of its labels in their order."""


def read(text: str) -> Samples:
    """Return all samples; fail on anything that a scrape would refuse."""
    found: Samples = {}
    announced: list[tuple[str, str]] = []
    assert text.endswith("\n")
    # Not splitlines(): a label may have other ends of lines in it.
    for line in text[:-1].split("\n"):
        if line.startswith("#"):
            kind, name, rest = re.fullmatch(rf"# (HELP|TYPE) ({_NAME}) (.+)", line).groups()  # type: ignore[union-attr]  # no match fails the test
            assert (kind, name) not in announced, line
            assert kind == "HELP" or rest == "gauge"
            announced.append((kind, name))
            continue
        matched = _SAMPLE.fullmatch(line)
        assert matched, line
        name, labels, value = matched.groups()
        assert announced[-2:] == [("HELP", name), ("TYPE", name)], line
        key = tuple(_unescaped(one) for _, one in _PAIR.findall(labels or ""))
        assert key not in found.setdefault(name, {}), line
        found[name][key] = float(value)
    return found


def label_names(text: str) -> Mapping[str, tuple[str, ...]]:
    """Return the names of the labels of each metric's first sample."""
    names: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        matched = _SAMPLE.fullmatch(line)
        if matched:
            names.setdefault(matched[1], tuple(key for key, _ in _PAIR.findall(matched[2] or "")))
    return names


def _unescaped(text: str) -> str:
    return re.sub(r'\\[\\n"]', lambda found: _ESCAPED[found[0]], text)
