"""Who worked in a session that is used by its id: not always who asked for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trigger_ops.records import EventRecord, SessionRecord
from trigger_ops.sessions.actors import is_same

ENTERED = "entered"
"""The kind of event that tells that somebody's code began to work in a session of a number."""


def others_at_work(session: SessionRecord, events: Sequence[EventRecord]) -> Iterator[str]:
    """Yield who worked in a session that they neither opened nor reviewed: no finding."""
    for actor in _others(session, events):
        if not _reviews(session, actor):
            yield f"{actor} worked in the session, which {session.opened_by} opened."


def reviewers_at_work(session: SessionRecord, events: Sequence[EventRecord]) -> Iterator[str]:
    """Yield who worked in a session that they reviewed: four eyes may have become two."""
    for actor in _others(session, events):
        for reviewer in _reviews(session, actor):
            known = f" as {reviewer}" if reviewer != actor else ""
            yield f"{actor} worked in the session, and had reviewed it{known}."


def _others(session: SessionRecord, events: Sequence[EventRecord]) -> Iterator[str]:
    entered = (one.actor for one in events if (one.session, one.kind) == (session.id, ENTERED))
    for actor in dict.fromkeys(entered):
        if not is_same(actor, session.opened_by):
            yield actor


def _reviews(session: SessionRecord, actor: str) -> list[str]:
    return [one.reviewer for one in session.reviews if is_same(actor, one.reviewer)]
