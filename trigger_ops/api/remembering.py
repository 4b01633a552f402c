"""Tells of what a check saw when that was first seen, and who answers for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from trigger_ops.api.looking import Look
from trigger_ops.api.recording import judged
from trigger_ops.drift import Finding
from trigger_ops.drift.answering import Answers
from trigger_ops.drift.digests import key_of
from trigger_ops.drift.life import follow
from trigger_ops.exceptions import BadSettings, NotRecorded
from trigger_ops.inspection import Scope
from trigger_ops.ledger.allowances import read_allowances
from trigger_ops.ledger.findings import read_open_findings
from trigger_ops.ledger.recording import Book, reading_records


def with_past(looks: Sequence[Look], selectors: Sequence[str], scope: Scope) -> list[Finding]:
    """Return the findings of looks with when they were first seen and who answers for them.

    Where nothing can be asked that was recorded, or ever was, nothing is known of either.
    """
    findings = [finding for one in looks for finding in one.findings]
    if not findings:
        return []
    try:
        with reading_records() as book:
            return [
                finding for one in looks for finding in _with_past(book, one, selectors, scope)
            ]
    except (NotRecorded, BadSettings):
        return findings


def _with_past(
    book: Book, look: Look, selectors: Sequence[str], scope: Scope
) -> Iterator[Finding]:
    """Yield the findings of a look, each as it is together with what others show elsewhere."""
    alias = look.database.alias
    before = read_open_findings(book, [alias])
    allowances = read_allowances(book, [alias])
    answers, first = Answers(allowances, book.now), {one.key: one.first_seen for one in before}
    seen = judged(look, before, scope, selectors)
    steps = {one.key: one for one in follow(before, seen, allowances, now=book.now)}
    for finding in look.findings:
        key = key_of(finding)
        step = steps[key]
        digest = step.after.digest if step.after is not None else finding.digest
        yield dataclasses.replace(
            finding,
            first_seen=first.get(key),
            allowance=answers.covering(key, digest, step.count),
            outgrown=answers.outgrown(key, digest, step.count),
        )
