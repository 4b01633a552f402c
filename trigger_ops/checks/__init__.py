"""Django system checks: the project, its settings, its triggers, and drift.

| ID   | level   | tag         | says |
|------|---------|-------------|------|
| S001 | Error   | (always)    | ``trigger_ops`` does not stand before ``pgtrigger`` in INSTALLED_APPS |
| S002 | Error   | (always)    | ``pgtrigger`` is not in INSTALLED_APPS |
| S003 | Error   | (always)    | ``TRIGGER_OPS`` is not a dict |
| S004 | Error   | (always)    | ``TRIGGER_OPS`` has a key that does not exist |
| S005 | Error   | (always)    | a value of ``TRIGGER_OPS`` has the wrong type |
| S006 | Error   | (always)    | ``ENABLED`` declares a mode that does not exist |
| S007 | Error   | (always)    | ``RECORD_DATABASE`` is not an alias of DATABASES |
| S008 | Warning | (always)    | a selector in ``ENABLED`` or ``POLICIES`` matches no registered trigger |
| S010 | Warning | models      | a trigger's name that PostgreSQL cannot read without quotes |
| S011 | Warning | models      | ``$$`` in a trigger's body |
| S012 | Warning | models      | a condition that begins with "(" and is not enclosed as a whole |
| S013 | Warning | models      | a trigger that cannot be compiled |
| S014 | Warning | models      | TRUNCATE for each row |
| S015 | Warning | models      | a condition on OLD or NEW where there is none |
| S020 | Warning | database    | a server older than PostgreSQL 15 |
| S021 | Warning | database    | serious drift: see ``manage.py pgtrigger check`` |
| S022 | Warning | database    | a database that could not be read; an Error under trigger_ops |
| S023 | Error   | (always)    | a duration of ``TRIGGER_OPS`` that is none |
| S024 | Error   | (always)    | ``POLICY`` or ``POLICIES`` declares a policy that does not exist |
| S025 | Error   | (always)    | ``MASK`` is no regular expression |
| S026 | Error   | (always)    | ``SESSION_DURATION`` is longer than ``SESSION_LONGEST`` |
| S027 | Error   | (always)    | a destination of ``NOTIFY`` that nobody can be told by |
| S028 | Error   | (always)    | ``HEARTBEAT_URL`` is no address that may be asked for |
| S029 | Error   | (always)    | ``PRIVATE_HOSTS`` has what is no host name |

The IDs are preceded by ``trigger_ops.``. Under ``Tags.database`` there are never Errors, because
``migrate`` stops at those. Drift itself comes under the tag ``trigger_ops`` with ``--deploy``,
with the IDs and levels of ``manage.py pgtrigger check``:

    manage.py check --deploy --tag trigger_ops --database default
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any

from django.core import checks

TAG = "trigger_ops"


def register() -> None:
    """Register every check. To be called once, from ``AppConfig.ready``.

    The checks' modules are imported when they run: every process of the project gets here, and
    few of them check anything.
    """
    checks.register(_late("project", "check_apps"))
    checks.register(_late("project", "check_settings"))
    checks.register(_late("notifications", "check_notifications"))
    checks.register(_late("triggers", "check_triggers"), checks.Tags.models)
    checks.register(_late("databases", "check_before_migrating"), checks.Tags.database)
    checks.register(_late("databases", "check_drift"), TAG, deploy=True)


@functools.cache
def _late(module: str, name: str) -> Callable[..., list[checks.CheckMessage]]:
    def check(
        app_configs: Sequence[Any] | None = None, **options: Any
    ) -> list[checks.CheckMessage]:
        function = getattr(importlib.import_module(f"trigger_ops.checks.{module}"), name)
        messages: list[checks.CheckMessage] = function(app_configs=app_configs, **options)
        return messages

    check.__name__ = name
    return check
