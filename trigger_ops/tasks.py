"""Celery tasks: one beat entry, ``trigger_ops.check_databases``, fans out one task a database.

``app.autodiscover_tasks()`` finds them. Nothing else in this package imports Celery.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, transaction

try:
    from celery import Task, current_app, shared_task
    from celery.exceptions import SoftTimeLimitExceeded
    from celery.signals import beat_init, before_task_publish
except ModuleNotFoundError as error:
    if error.name != "celery":
        raise
    raise ImproperlyConfigured(
        "trigger_ops.tasks needs Celery: pip install django-trigger-ops[celery]"
    ) from error

from trigger_ops import conf
from trigger_ops.api import scheduling
from trigger_ops.api.notifying import deliver as deliver_notices
from trigger_ops.api.notifying import ping_heartbeat
from trigger_ops.exceptions import BadSettings, DatabaseUnreadable, NotRecorded
from trigger_ops.inspection import Scope

SOURCE = "celery"

LOST = (OperationalError, InterfaceError, NotRecorded, DatabaseUnreadable)
"""What is tried again: connections break."""

TRIES = 2
"""How often a database that cannot be reached is tried again before that is what is reported."""

ATTEMPTS, SECONDS_BETWEEN = 6, 65
"""How often a run tries to tell people, and how long it waits after the first time."""

LIMITS: dict[str, Any] = {"soft_time_limit": 240, "time_limit": 300}
"""How many seconds a task has before it is told to end, and before its process is ended.

Two backends that take the two minutes that one may take fit into it. A check has its own limits:
those of ``TRIGGER_OPS["CHECK_LIMIT"]``.
"""

TICK_SECONDS = 5.0
"""Ticks of several beats that are no farther apart than this are one."""

ASKED = "trigger_ops_asked"
"""The header that says when a check was asked for, in seconds since 1970."""

RETRYING: dict[str, Any] = {
    "autoretry_for": LOST,
    "retry_backoff": 1,
    "retry_backoff_max": 60,
    "retry_jitter": True,
    "max_retries": 5,
    "acks_late": True,
    "reject_on_worker_lost": True,
    "ignore_result": True,
}

_beat: list[bool] = []
"""Not empty in the process of a beat."""


@shared_task(name="trigger_ops.check_databases", bind=True, **RETRYING, **LIMITS)
def check_databases(
    self: Task[Any, Any],
    databases: Sequence[str] | str | None = None,
    *,
    all_schemas: bool = False,
    schema_glob: str | None = None,
    notify: bool = True,
) -> None:
    """Check databases, all PostgreSQL ones by default: one task each, and a recorded run.

    This is what a schedule names. A tick that comes while its run is under way starts no other.

    Raises:
        UnknownDatabase: naming the nearest match.
        BadSettings: when nothing could be recorded, or nobody told, with these settings.
    """
    begun = scheduling.begin_run(
        [databases] if isinstance(databases, str) else databases,
        _scope(all_schemas=all_schemas, schema_glob=schema_glob),
        source=SOURCE,
        holder=str(self.request.hostname or ""),
        waited=_waited(self),
    )
    terms = {"all_schemas": all_schemas, "schema_glob": schema_glob, "notify": notify}
    if current_app.conf.task_always_eager:
        _send(begun, terms, sweeping=begun.sweep)
    else:
        # Workers must see the run, also where somebody calls this inside a transaction.
        transaction.on_commit(
            lambda: _send(begun, terms, sweeping=begun.sweep), using=conf.record_database()
        )


@shared_task(name="trigger_ops.check_database", bind=True, **RETRYING)
def check_database(
    self: Task[Any, Any],
    run_id: str,
    alias: str,
    *,
    all_schemas: bool = False,
    schema_glob: str | None = None,
    notify: bool = True,
) -> None:
    """Check one database of a run, unless somebody else is at it or has done it."""
    done = scheduling.check_one(
        uuid.UUID(run_id),
        alias,
        _scope(all_schemas=all_schemas, schema_glob=schema_glob),
        once_more=self.request.retries < TRIES and not self.request.is_eager,
        out_of_time=SoftTimeLimitExceeded,
    )
    if done is not None:
        terms = {"all_schemas": all_schemas, "schema_glob": schema_glob, "notify": notify}
        _send(done, terms, sweeping=done.sweep and not self.request.is_eager, chained=False)


@shared_task(name="trigger_ops.sweep", bind=True, **RETRYING, **LIMITS)
def sweep(
    self: Task[Any, Any],
    run_id: str,
    *,
    all_schemas: bool = False,
    schema_glob: str | None = None,
    notify: bool = True,
    chained: bool = True,
) -> None:
    """Look after a run until it has ended: send again what was lost, tell what is known.

    One that is not ``chained`` goes on only if it found something to send again.
    """
    found = scheduling.sweep_run(uuid.UUID(run_id), alone=bool(self.request.is_eager))
    terms = {"all_schemas": all_schemas, "schema_glob": schema_glob, "notify": notify}
    _send(found, terms, sweeping=found.sweep and (chained or bool(found.send)))


@shared_task(name="trigger_ops.deliver", bind=True, **RETRYING, **LIMITS)
def deliver(
    self: Task[Any, Any], *, heartbeat: bool = False, notices: bool = True, attempt: int = 1
) -> None:
    """Tell people what is due, and whoever listens for it that a run was complete.

    What does not arrive is tried again after a minute, then two, and so on; after the last
    ``attempt`` with the next run.
    """
    if heartbeat:
        ping_heartbeat()
    failed = notices and _is_somebody_untold()
    if failed and attempt < ATTEMPTS and not self.request.is_eager:
        again = {"notices": True, "attempt": attempt + 1}
        deliver.apply_async(kwargs=again, countdown=SECONDS_BETWEEN * 2 ** (attempt - 1))


def _is_somebody_untold() -> bool:
    """Tell people what is due; say whether something of it is to be tried again."""
    try:
        return any(one.error and not one.bad_settings for one in deliver_notices())
    except (
        SoftTimeLimitExceeded
    ):  # between two messages: in the middle of one, that one has failed
        return True


@beat_init.connect
def _note_beat(**_: Any) -> None:
    _beat.append(True)


@before_task_publish.connect(sender="trigger_ops.check_databases")
def _note_when(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Have a check carry when it was asked for, so that two at the same moment are one run."""
    if headers is not None:
        headers.setdefault(ASKED, time.time() - (TICK_SECONDS if _beat else 0.0))


def _waited(task: Task[Any, Any]) -> dt.timedelta:
    asked = (task.request.headers or {}).get(ASKED)
    return dt.timedelta(seconds=time.time() - float(asked)) if asked else dt.timedelta()


def _scope(*, all_schemas: bool, schema_glob: str | None) -> Scope:
    if all_schemas and schema_glob is not None:
        raise BadSettings("A check takes all_schemas or schema_glob: mend the schedule's kwargs.")
    return Scope(glob="*" if all_schemas else schema_glob)


def _send(
    step: scheduling.Next, terms: dict[str, Any], *, sweeping: bool, chained: bool = True
) -> None:
    """Send the tasks that follow on a step. Run in-process, they are done when this returns."""
    run_id, limit = str(step.run_id), conf.check_limit()
    try:
        for alias in step.send:
            check_database.apply_async(
                (run_id, alias),
                terms,
                soft_time_limit=limit.total_seconds(),
                time_limit=scheduling.claim_lasts().total_seconds(),
            )
    finally:
        if sweeping:
            sweep.apply_async(
                (run_id,),
                {**terms, "chained": chained},
                countdown=scheduling.PATIENCE.total_seconds(),
            )
    notices = step.deliver and terms["notify"]
    if step.heartbeat or notices:
        deliver.apply_async(kwargs={"heartbeat": step.heartbeat, "notices": notices})
