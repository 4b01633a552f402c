"""Finds the class by which a destination is told, and tells it."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.utils.module_loading import import_string

from trigger_ops.exceptions import BadSettings, nearest
from trigger_ops.notifications import Backend, NotDelivered
from trigger_ops.notifications.mail import Mail
from trigger_ops.notifications.options import without_secrets
from trigger_ops.notifications.webhook import Webhook
from trigger_ops.notifications.wording import printable
from trigger_ops.records import Destination, Message

BUILT_IN: Mapping[str, type[Backend]] = {"email": Mail, "webhook": Webhook}


def backend_of(destination: Destination) -> Backend:
    """Make what tells a destination.

    Raises:
        BadSettings: for a class that cannot be had, and for options that it does not take.
    """
    made = _class_of(destination)
    try:
        return made(destination.name, **destination.options)
    except BadSettings as error:
        raise BadSettings(without_secrets(printable(str(error)), destination.options)) from None
    except Exception as error:  # noqa: BLE001  # a class of the project's own
        raise BadSettings(
            f'TRIGGER_OPS["NOTIFY"], "{destination.name}": {made.__name__} does not take its '
            f"options: {_where(error)}."
        ) from None


def _class_of(destination: Destination) -> type[Backend]:
    name = destination.backend
    if name in BUILT_IN:
        return BUILT_IN[name]
    where = f'TRIGGER_OPS["NOTIFY"], "{destination.name}": the backend "{name}"'
    if "." not in name:
        raise BadSettings(f"{where} is unknown: {nearest(name, BUILT_IN)}")
    try:
        found = import_string(name)
    except Exception as error:  # noqa: BLE001  # whatever a module raises when it is imported
        raise BadSettings(f"{where} cannot be imported: {_where(error)}.") from None
    if not isinstance(found, type) or not issubclass(found, Backend):
        raise BadSettings(f"{where} is no subclass of trigger_ops.notifications.Backend.")
    return found


def tell(backend: Backend, message: Message, options: Mapping[str, Any]) -> str:
    """Send a message; return an empty text, or why it did not arrive, without secrets.

    ``options`` are those of the destination.
    """
    try:
        backend.send(message)
    except NotDelivered as error:
        text = " ".join(printable(str(error).strip()).split()) or "It did not say why."
        return without_secrets(text, options)
    except Exception as error:  # noqa: BLE001  # a class of the project's own may raise anything
        return f"{type(backend).__name__} failed: {_where(error)}."
    return ""


def _where(error: BaseException) -> str:
    """Return what failed and where. What an error says may hold a secret, so that is left out."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    last = frames[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
