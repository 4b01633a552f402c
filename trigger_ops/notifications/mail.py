"""Tells people by e-mail, through Django's own settings for it."""

from __future__ import annotations

import contextlib
import smtplib
from email.utils import parseaddr
from typing import Any

from django.core import mail
from django.core.mail import EmailMessage

from trigger_ops.exceptions import BadSettings
from trigger_ops.notifications import Backend, NotDelivered
from trigger_ops.notifications.options import known_only
from trigger_ops.notifications.wording import PREFIX, printable, subject, text
from trigger_ops.records import Message

TIMEOUT_SECONDS = 10
"""How long each step of talking to the mail server may take, if EMAIL_TIMEOUT says nothing."""


class Mail(Backend):
    """Sends one e-mail a message. Options: ``to``, ``from_email``, ``subject_prefix``."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        known_only(name, options, ("to", "from_email", "subject_prefix"))
        self._to = _addresses(name, options.get("to"))
        sender = options.get("from_email")
        if sender is not None and not _is_address(sender):
            raise BadSettings(f'TRIGGER_OPS["NOTIFY"], "{name}": from_email is no e-mail address.')
        self._from: str | None = sender
        prefix = options.get("subject_prefix", PREFIX)
        if not isinstance(prefix, str) or not prefix.isprintable():
            raise BadSettings(
                f'TRIGGER_OPS["NOTIFY"], "{name}": subject_prefix must be a text of one line.'
            )
        self._prefix = prefix

    def send(self, message: Message) -> None:
        """Send one message.

        Raises:
            NotDelivered: with what the mail server says.
        """
        letter = EmailMessage(
            subject=subject(message, prefix=self._prefix),
            body=f"{text(message)}\n",
            from_email=self._from,
            to=self._to,
        )
        domain = parseaddr(letter.from_email)[1].rpartition("@")[2]
        letter.extra_headers = {
            # The same for each attempt: whoever got it already knows that it is a repeat.
            "Message-ID": f"<{message.id}@{domain or 'trigger-ops.invalid'}>",
            "Auto-Submitted": "auto-generated",
        }
        connection = _connection()
        if getattr(connection, "timeout", TIMEOUT_SECONDS) is None:
            connection.timeout = TIMEOUT_SECONDS
        try:
            sent = connection.send_messages([letter])
        except (smtplib.SMTPException, OSError) as error:
            raise NotDelivered(f"The e-mail was not sent: {_reason(error)}.") from None
        finally:
            # Django leaves the connection open where the login is refused.
            with contextlib.suppress(Exception):
                connection.close()
        if sent == 0:
            raise NotDelivered("The e-mail was not sent: Django's mail backend took nothing.")


def _connection() -> Any:
    """Return the project's way to send mail, which Django has in MAILERS since 6.1."""
    mailers = getattr(mail, "mailers", None)
    return mail.get_connection() if mailers is None else mailers.default


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"the mail server refused the login ({error.smtp_code})"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the mail server answered {error.smtp_code} {_told(error.smtp_error)}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = sorted({str(code) for code, _ in error.recipients.values()})
        return f"the mail server refused every recipient ({', '.join(codes)})"
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return "the mail server gave no answer in time"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "the mail server hung up"
    return printable(str(getattr(error, "strerror", None) or type(error).__name__))


def _told(text_of: object) -> str:
    words = text_of.decode("utf-8", "replace") if isinstance(text_of, bytes) else str(text_of)
    return printable(" ".join(words.split()))[:200].rstrip(".")


def _addresses(name: str, value: object) -> list[str]:
    if (
        not isinstance(value, list | tuple)
        or not value
        or not all(_is_address(one) for one in value)
    ):
        raise BadSettings(
            f'TRIGGER_OPS["NOTIFY"], "{name}": an email needs to, a list of e-mail addresses.'
        )
    return list(value)


def _is_address(value: object) -> bool:
    if not isinstance(value, str) or not value.isprintable():
        return False
    local, at, domain = parseaddr(value)[1].rpartition("@")
    return bool(local and at and domain)
