"""Runs one management command inside another, in this process, as the command line would."""

from __future__ import annotations

import dataclasses
import sys
import traceback
from collections.abc import Iterator, Sequence
from functools import partial

from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand, CommandError, SystemCheckError

from trigger_ops.exceptions import nearest
from trigger_ops.rendering.wording import printable
from trigger_ops.states import ExitCode

INTERRUPTED = 130
"""What a shell makes of a command that Ctrl-C ended."""

TERMINATED = 143
"""What a shell makes of a command that SIGTERM ended."""

_ALREADY_READ = ("--settings", "--pythonpath")


class Terminated(KeyboardInterrupt):
    """SIGTERM came. It is a KeyboardInterrupt, for which drivers cancel what they wait for."""


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a command ended: its exit code, what it raised, if anything, and what that prints."""

    code: int
    error: BaseException | None = None
    printed: str = ""

    def causes(self) -> Iterator[BaseException]:
        """Yield what was raised, and whatever that came from."""
        seen: set[int] = set()
        waiting = [self.error]
        while waiting:
            one = waiting.pop()
            if one is not None and id(one) not in seen:
                seen.add(id(one))
                yield one
                waiting += [one.__context__, one.__cause__]


def refuse_unknown(words: Sequence[str]) -> None:
    """Refuse a command that the project does not have, and options that come too late.

    Raises:
        CommandError: exit code 2, naming the nearest.
    """
    name, known = words[0], get_commands()
    if name not in known:
        raise _usage(f'There is no management command "{printable(name)}": {nearest(name, known)}')
    for word in words[1:]:
        if word.partition("=")[0] in _ALREADY_READ:
            raise _usage(
                f"{word.partition('=')[0]} comes too late behind --, for the settings are read: "
                "give it before session."
            )


def is_from_shell(command: BaseCommand) -> bool:
    """Tell whether this process is here for the command alone, not under ``call_command``."""
    return bool(getattr(command, "_called_from_command_line", False))


def carry_out(command: BaseCommand, words: Sequence[str]) -> Ending:
    """Run a command as ``manage.py`` would, and tell how it ended.

    Under ``call_command`` it writes to the streams that were given there, and leaves connections
    as they are: the caller may be in a transaction.
    """
    app = get_commands()[words[0]]
    inner = app if isinstance(app, BaseCommand) else load_command_class(app, words[0])
    from_command_line = is_from_shell(command)
    if not from_command_line:
        inner.stdout, inner.stderr = command.stdout, command.stderr
    # A command's own run_from_argv() ends with connections.close_all(), and does no harm there.
    run = inner.run_from_argv if from_command_line else partial(_executed, inner)
    try:
        run(["manage.py", *words])
    except SystemExit as error:
        return Ending(_code(error.code), error, error.code if isinstance(error.code, str) else "")
    except KeyboardInterrupt as error:
        return Ending(TERMINATED if isinstance(error, Terminated) else INTERRUPTED, error)
    except CommandError as error:  # under --traceback
        return Ending(error.returncode, error, _traceback(error))
    except BaseException as error:  # noqa: BLE001 - it is the command's own: shown, with code 1
        return Ending(1, error, _traceback(error))
    return Ending(0)


def _executed(inner: BaseCommand, argv: Sequence[str]) -> None:
    """Do what ``run_from_argv()`` does, except that no connection is closed at the end."""
    inner._called_from_command_line = True  # type: ignore[attr-defined]  # noqa: SLF001 - as Django's own utility sets it
    options = vars(inner.create_parser(argv[0], argv[1]).parse_args(list(argv[2:])))
    arguments = options.pop("args", ())
    try:
        inner.execute(*arguments, **options)
    except CommandError as error:
        if options["traceback"]:
            raise
        if isinstance(error, SystemCheckError):
            inner.stderr.write(str(error), lambda text: text)
        else:
            inner.stderr.write(f"{type(error).__name__}: {error}")
        sys.exit(error.returncode)


def _traceback(error: BaseException) -> str:
    """Return what Python prints of an exception that nobody catches, without what is ours."""
    frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
    return "".join(traceback.format_exception(type(error), error, frames))


def _code(given: object) -> int:
    """Return what Python makes of what ``sys.exit`` was given."""
    if given is None:
        return 0
    return given & 0xFF if isinstance(given, int) else 1


def _usage(sentence: str) -> CommandError:
    return CommandError(sentence, returncode=int(ExitCode.USAGE))
