"""Who reviews at the keyboard: a Django user, who gives the password there."""

from __future__ import annotations

import getpass
import sys

from django.apps import apps
from django.core.management.base import CommandError

from trigger_ops.exceptions import SessionRefused
from trigger_ops.records import Actor
from trigger_ops.rendering.wording import printable
from trigger_ops.states import ExitCode

PERMISSION = "trigger_ops.review_session"


def reviewer_of(name: str | None, *, from_stdin: bool) -> Actor:
    """Return the reviewer of that name, whose password is right and who may review.

    Raises:
        CommandError: exit code 2, where no user is named or no password can be given.
        SessionRefused: for a wrong password, an inactive user, and a missing permission.
    """
    if not apps.is_installed("django.contrib.auth"):
        raise _usage(
            "Reviewers are users of django.contrib.auth, which is not in INSTALLED_APPS: add it, "
            "or have no trigger of policy four_eyes."
        )
    if not (name or "").strip():
        raise _usage(
            "A review is a Django user's: give --user NAME, and that user's password when asked."
        )
    # Imported late: it needs the app of users, which a project may not have.
    from django.contrib.auth import authenticate

    user = authenticate(username=name, password=_password(str(name), from_stdin=from_stdin))
    if user is None or not user.is_active:
        raise SessionRefused(
            f'The password of "{name}" is wrong, or there is no such active user: try again, or '
            "review in the admin."
        )
    if not user.has_perm(PERMISSION):
        raise SessionRefused(
            f'User "{name}" may not review sessions: have the permission {PERMISSION} granted.'
        )
    return Actor(
        name=f"user:{user.get_username()}",
        key=str(user.pk),
        email=str(getattr(user, user.get_email_field_name(), "") or ""),
    )


def _password(name: str, *, from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise _usage("--password-stdin reads the password from stdin, and nothing was there.")
        return password
    if not sys.stdin.isatty():
        raise _usage(
            "There is no terminal to ask for a password on: give --password-stdin and the "
            "password on stdin."
        )
    return getpass.getpass(f"Password of {printable(name)}: ")


def _usage(sentence: str) -> CommandError:
    return CommandError(sentence, returncode=int(ExitCode.USAGE))
