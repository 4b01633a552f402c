"""A parser for as much of PromQL as our rules and panels use; it knows our metrics alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from trigger_ops.drift.ids import KINDS
from trigger_ops.metrics import FINAL_STATES, METRICS, OPEN_SESSIONS, SESSIONS_OPEN
from trigger_ops.states import Level, Status

AGGREGATIONS = frozenset({"sum", "min", "max", "count", "avg"})
OVER_RANGES = frozenset({"delta", "min_over_time", "max_over_time"})
OVER_VECTORS = frozenset({"absent", "abs"})
COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
OPERATORS = frozenset({*COMPARISONS, "+", "-", "*", "/", "and", "or", "unless"})

BY_NAME = {one.name: one for one in METRICS}
VALUES: Mapping[str, frozenset[str]] = {
    "status": frozenset(Status),
    "level": frozenset(level.name for level in Level),
    "id": frozenset(kind.id for kind in KINDS.values()),
}

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<number>\d+(?:\.\d+)?(?![\w.]))
    |(?P<range>\[\d+[smhd]\])|(?P<name>[a-zA-Z_:][\w:]*)|(?P<sign>=~|!~|==|!=|>=|<=|[-+*/<>=(){},]))""",
    re.X,
)


class Wrong(Exception):
    """Prometheus would refuse it, or it would never say anything."""


@dataclass
class Query:
    """One expression: which metrics it uses, and which labels its result has."""

    text: str
    metrics: list[str] = field(default_factory=list)
    labels: frozenset[str] = frozenset()
    _tokens: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tokens = [*_tokens(self.text)]
        labels = self._expression()
        if self._tokens:
            raise Wrong(f"{self._tokens[0][1]!r} is left over in {self.text}")
        self.labels = labels or frozenset()

    def _expression(self) -> frozenset[str] | None:
        """Return the labels of a vector, None for a scalar."""
        left = self._operand()
        while self._tokens and self._tokens[0][1] in OPERATORS:
            self._take()
            right = self._operand()
            if left is not None and right is not None and left != right:
                raise Wrong(f"two vectors have other labels in {self.text}")
            left = right if left is None else left
        return left

    def _operand(self) -> frozenset[str] | None:
        kind, word = self._take()
        if word == "(":
            inner = self._expression()
            self._expect(")")
            return inner
        if kind == "number":
            return None
        if kind != "name":
            raise Wrong(f"{word!r} stands where a value should in {self.text}")
        if word in AGGREGATIONS:
            return self._aggregation()
        if self._tokens and self._tokens[0][1] == "(":
            return self._call(word)
        return self._selector(word, ranged=False)

    def _aggregation(self) -> frozenset[str]:
        kept: list[str] = []
        if self._tokens[:1] == [("name", "by")]:
            self._take()
            self._expect("(")
            while True:
                kept.append(self._word("name"))
                if self._take()[1] == ")":
                    break
        self._expect("(")
        inner = self._expression()
        self._expect(")")
        if inner is None or not inner.issuperset(kept):
            raise Wrong(f"there is no label {kept} to keep in {self.text}")
        return frozenset(kept)

    def _call(self, function: str) -> frozenset[str] | None:
        self._expect("(")
        if function == "time":
            self._expect(")")
            return None
        if function in OVER_RANGES:
            inner: frozenset[str] | None = self._selector(self._word("name"), ranged=True)
        elif function in OVER_VECTORS:
            inner = self._expression()
        else:
            raise Wrong(f"there is no function {function}")
        self._expect(")")
        return frozenset() if function == "absent" else inner

    def _selector(self, name: str, *, ranged: bool) -> frozenset[str]:
        if name not in BY_NAME:
            raise Wrong(f"there is no metric {name}")
        self.metrics.append(name)
        if self._tokens and self._tokens[0][1] == "{":
            self._take()
            while True:
                self._matcher(name)
                if self._take()[1] == "}":
                    break
        has_range = bool(self._tokens) and self._tokens[0][0] == "range"
        if has_range:
            self._take()
        if has_range is not ranged:
            raise Wrong(f"{name} has a range, or needs one, in {self.text}")
        return frozenset(BY_NAME[name].labels)

    def _matcher(self, metric: str) -> None:
        label, sign, value = self._word("name"), self._word("sign"), self._word("string")[1:-1]
        if label not in BY_NAME[metric].labels:
            raise Wrong(f"{metric} has no label {label}")
        if sign not in ("=", "!=", "=~", "!~"):
            raise Wrong(f"{sign} compares no labels")
        if value == "$database" and label == "database" and sign == "=~":
            return
        known = VALUES.get(label) or _states(metric)
        for one in value.split("|") if "~" in sign else [value]:
            if one not in known:
                raise Wrong(f"{label} of {metric} is never {one}")

    def _take(self) -> tuple[str, str]:
        if not self._tokens:
            raise Wrong(f"{self.text} ends too early")
        return self._tokens.pop(0)

    def _word(self, kind: str) -> str:
        found, word = self._take()
        if found != kind:
            raise Wrong(f"{word!r} is no {kind} in {self.text}")
        return word

    def _expect(self, sign: str) -> None:
        if self._word("sign") != sign:
            raise Wrong(f"{sign!r} is missing in {self.text}")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(text.rstrip()):
        found = _TOKEN.match(text, place)
        if not found or found.lastgroup is None:
            raise Wrong(f"{text[place:]!r} cannot be read")
        yield found.lastgroup, found[found.lastgroup]
        place = found.end()


def _states(metric: str) -> frozenset[str]:
    return frozenset(OPEN_SESSIONS if metric == SESSIONS_OPEN.name else FINAL_STATES)
