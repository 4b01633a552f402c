"""How a verb ends: exit codes for results and for every kind of error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import DatabaseError, InterfaceError

from trigger_ops.catalog.reading import sqlstate
from trigger_ops.exceptions import (
    BadDuration,
    BadSettings,
    Busy,
    DatabaseUnreadable,
    NotRecorded,
    TriggerOpsError,
    UnknownDatabase,
    UnknownFinding,
    UnknownSchema,
    UnknownSelector,
    UnknownSession,
)
from trigger_ops.rendering.wording import printable
from trigger_ops.states import ExitCode

# insufficient_privilege, read_only_sql_transaction: trying again does not help.
_REFUSALS = ("42501", "25006")
_USAGE = (
    *(UnknownSelector, UnknownDatabase, UnknownSchema, UnknownSession, UnknownFinding),
    *(BadSettings, BadDuration),
    ImproperlyConfigured,
)


class Outcome(CommandError):
    """The verb did its work, all its output is written, and the result is not clean.

    ``call_command`` raises it, with the exit code in ``returncode``; on the command line it
    becomes the exit code, and its sentence a line on stderr unless stdout has ``told`` it.
    """

    def __init__(self, sentence: str, code: ExitCode | int, *, told: bool = False) -> None:
        super().__init__(sentence, returncode=int(code))
        self.told = told


@contextlib.contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Turn whatever is raised inside into a :class:`CommandError` with the right exit code."""
    try:
        yield
    except CommandError:
        raise
    except _USAGE as error:
        raise CommandError(printable(str(error)), returncode=int(ExitCode.USAGE)) from error
    except Busy as error:
        raise CommandError(printable(str(error)), returncode=int(ExitCode.BUSY)) from error
    except (DatabaseUnreadable, NotRecorded) as error:
        refused = error.__cause__ is not None and sqlstate(error.__cause__) in _REFUSALS
        code = ExitCode.REFUSED if refused or _is_unmigrated(error) else ExitCode.BUSY
        raise CommandError(printable(str(error)), returncode=int(code)) from error
    except TriggerOpsError as error:
        raise CommandError(printable(str(error)), returncode=int(ExitCode.REFUSED)) from error
    except (DatabaseError, InterfaceError) as error:
        code = ExitCode.REFUSED if sqlstate(error) in _REFUSALS else ExitCode.BUSY
        raise CommandError(_sentence(error), returncode=int(code)) from error
    except Exception as error:
        raise CommandError(
            f"Internal error, {type(error).__name__}: {_sentence(error)} "
            "Run it again with --traceback and report what it prints.",
            returncode=int(ExitCode.INTERNAL),
        ) from error


def _is_unmigrated(error: Exception) -> bool:
    """Tell whether it is our tables that are missing, and no connection: then waiting is no use."""
    return isinstance(error, NotRecorded) and error.__cause__ is None


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = printable(lines[0].strip()) if lines else "no message"
    return text if text.endswith((".", "!", "?")) else f"{text}."
