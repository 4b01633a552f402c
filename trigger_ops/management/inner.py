"""Runs one management command inside another, in this process, as the command line would."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Iterator, Sequence

from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand, CommandError

from trigger_ops.exceptions import nearest
from trigger_ops.rendering.wording import printable
from trigger_ops.states import ExitCode

INTERRUPTED = 130
"""What a shell makes of a command that Ctrl-C ended."""

_ALREADY_READ = ("--settings", "--pythonpath")


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


def carry_out(command: BaseCommand, words: Sequence[str]) -> Ending:
    """Run a command as ``manage.py`` would, and tell how it ended.

    Under ``call_command`` it writes to the streams that were given there.
    """
    app = get_commands()[words[0]]
    inner = app if isinstance(app, BaseCommand) else load_command_class(app, words[0])
    if not getattr(command, "_called_from_command_line", False):
        inner.stdout, inner.stderr = command.stdout, command.stderr
    try:
        inner.run_from_argv(["manage.py", *words])
    except SystemExit as error:
        return Ending(_code(error.code), error, error.code if isinstance(error.code, str) else "")
    except KeyboardInterrupt as error:
        return Ending(INTERRUPTED, error)
    except CommandError as error:  # under --traceback
        return Ending(error.returncode, error, _traceback(error))
    except BaseException as error:  # noqa: BLE001 - it is the command's own: shown, with code 1
        return Ending(1, error, _traceback(error))
    return Ending(0)


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
