"""What an attack finds: a guarded database with a few rows, and what is on record afterwards."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.damage import pgid
from tests.database.acts import do, one, open_session, policy
from trigger_ops.ledger.evidence import read_changes
from trigger_ops.ledger.guard import read_unattributed
from trigger_ops.sessions.refusals import refusal_code, state_of

_HEADER = re.compile(r"^(?:--|#) (?P<key>policy|session|role|rows|expect): (?P<value>.+)$", re.M)
_URI = re.compile(r"<(\w+\.\w+:\w+)>")
_NEXT = re.compile(r"^-- next$", re.M)

SAMPLES = {
    "past_receipt": "INSERT INTO past_receipt (id, number) VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    "past_invoice": "INSERT INTO past_invoice (id, number, total) VALUES (1, 'i', 10)",
    "past_customer": "INSERT INTO past_customer (id, name, email) VALUES (1, 'E', 'e@example.org')",
    "tutorial_statementprotect": (
        "INSERT INTO tutorial_statementprotect (id, int_field, dt_field) VALUES (1, 1, now())"
    ),
    "awkward_measurement": (
        "INSERT INTO awkward_measurement (id, taken_on, sensor, value) "
        "VALUES (1, '2024-05-01', 'roof', 1), (2, '2025-05-01', 'roof', 2)"
    ),
    "awkward_posting": "INSERT INTO awkward_posting (id, booking, amount) VALUES (1, 1, 0)",
}
"""Tables that an attack may aim at, each with its rows."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What an attack came to: a refusal's code, and how much is on record.

    ``session`` and ``unattributed`` count rows, ``decided`` and ``decisions`` triggers that stood
    aside: in a session, and outside any. ``guard`` counts changes of what is enforced, ``changed``
    tells whether rows of the samples did.
    """

    refused: str = ""
    session: int = 0
    decided: int = 0
    unattributed: int = 0
    decisions: int = 0
    guard: int = 0
    changed: bool = False

    @classmethod
    def parse(cls, text: str) -> Outcome:
        """Read an expectation: "nothing", or words like "refused TO001" or "session 3 changed"."""
        words, found = iter(text.split()), dict[str, str | int | bool]()
        for word in words:
            if word == "changed":
                found[word] = True
            elif word == "refused":
                found[word] = next(words)
            elif word != "nothing":
                found[word] = int(next(words))
        return cls(**found)  # type: ignore[arg-type]  # what a query found, by its columns


@dataclasses.dataclass(frozen=True)
class Case:
    """One file: what holds beforehand, and what is to come of it."""

    path: Path

    @property
    def headers(self) -> dict[str, str]:
        return {one["key"]: one["value"] for one in _HEADER.finditer(self.path.read_text("utf-8"))}

    @property
    def expected(self) -> Outcome:
        return Outcome.parse(self.headers["expect"])


class World:
    """A guarded database as an attacker finds it."""

    def __init__(
        self, own: BaseDatabaseWrapper, connect: Callable[..., BaseDatabaseWrapper], case: Case
    ) -> None:
        self.own, self.connect = own, connect
        self.role = f"app_{own.settings_dict['NAME']}"
        for sample in SAMPLES.values():
            do(own, sample)
        for table in ("past_receipt", "past_invoice", "past_customer"):
            do(own, f"ALTER TABLE {table} ALTER id RESTART WITH 100")
        policy(own, case.headers.get("policy", "record"))
        do(own, f"CREATE ROLE {self.role} LOGIN PASSWORD 'app'")
        do(own, f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(SAMPLES)} TO {self.role}")
        do(own, f"GRANT CREATE ON SCHEMA public TO {self.role}")
        do(own, f"GRANT CREATE, TEMPORARY ON DATABASE {own.settings_dict['NAME']} TO {self.role}")
        uris = case.headers.get("session", "").split()
        rows = int(case.headers.get("rows", "1000"))
        self.session = open_session(own, *uris, most_rows=rows) if uris else 0
        self.attacker = (
            connect(USER=self.role, PASSWORD="app")
            if case.headers.get("role") == "app"
            else connect()
        )
        self.before = self.samples()
        self.settled = self.acts()

    def run(self, text: str, connection: BaseDatabaseWrapper | None = None) -> None:
        """Send SQL, message after message, with what is in angle brackets put in."""
        filled = _URI.sub(lambda found: pgid(found[1]), text)
        for name, value in {"<session>": self.session, "<role>": self.role}.items():
            filled = filled.replace(name, str(value))
        for message in _NEXT.split(filled):
            do(connection or self.attacker, message)

    def samples(self) -> list[str]:
        """Return all rows that an attack may aim at."""
        return [
            one(
                self.own,
                f"SELECT coalesce(array_agg(t::text ORDER BY t::text), '{{}}')::text FROM {t} t",
            )
            for t in SAMPLES
        ]

    def outcome(self, refused: str) -> Outcome:
        """Return what is on record, once by our tables and once as `check` reads it."""
        kinds = ("session_id IS NOT NULL", "session_id IS NULL")
        session, unattributed, decided, decisions = (
            one(self.own, f"SELECT count(*) FROM trigger_ops_{table} WHERE {kind}")
            for table in ("change", "decision")
            for kind in kinds
        )
        sessions = [number for (number,) in do(self.own, "SELECT id FROM trigger_ops_session")]
        shown = [row for each in sessions for row in read_changes("default", "public", each)]
        assert [row.number > 0 for row in shown] == [True] * session
        told = read_unattributed("default", "public")
        assert sum(each.rows for each in told) == unattributed
        assert sum(len(each.triggers) for each in told) == decisions
        return Outcome(
            refused=refused,
            session=session,
            decided=decided,
            unattributed=unattributed,
            decisions=decisions,
            guard=self.acts() - self.settled,
            changed=self.samples() != self.before,
        )

    def acts(self) -> int:
        """Return how many changes of the guard are on record that no run of ours made."""
        return sum(len(each.acts) for each in read_unattributed("default", "public"))

    @contextlib.contextmanager
    def attempt(self, codes: list[str]) -> Iterator[None]:
        """Let something be tried; put the code of a refusal into the list."""
        try:
            yield
        except DatabaseError as error:
            codes.append(refusal_code(error) or state_of(error))
            self.attacker.close()

    def tidy(self) -> None:
        """Take away what is the whole server's."""
        self.attacker.close()
        do(connections["default"], f"DROP OWNED BY {self.role}; DROP ROLE {self.role}")
