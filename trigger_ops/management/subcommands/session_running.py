"""``pgtrigger session run|shell``: a management command of the project's, inside a session."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trigger_ops import api
from trigger_ops.aliases import for_pgtrigger
from trigger_ops.exceptions import SessionOver, TriggerOpsError
from trigger_ops.management.actors import operating_system_actor
from trigger_ops.management.inner import Ending, carry_out, is_from_shell, refuse_unknown
from trigger_ops.management.outcomes import Outcome
from trigger_ops.management.prompts import session_prompt
from trigger_ops.management.streams import say
from trigger_ops.management.subcommands.session_options import (
    add_request,
    alias_of,
    number_of,
)
from trigger_ops.management.subcommands.session_stopping import Stop, noticed
from trigger_ops.rendering import sessions
from trigger_ops.rendering.wording import printable
from trigger_ops.states import ExitCode, SessionState

REFUSALS = frozenset({"TO002", "TO003", "TO004", "TO005", "TO007"})
"""Codes of refusals by the rules of the session itself; another trigger's policy is none."""

_ASKED = {
    "uris": "selectors",
    "reason": "--reason",
    "lasts": "--for",
    "ticket": "--ticket",
    "history": "--history",
}


def add_run_arguments(parser: CommandParser) -> None:
    """Add what ``session run`` understands before its ``--``."""
    parser.usage = (
        "manage.py pgtrigger session run [SELECTOR ...] --reason TEXT [--for 15m] [--ticket TEXT] "
        "[--history] [--session ID] [-d ALIAS] -- COMMAND ..."
    )
    add_request(parser)
    parser.add_argument(
        "--session", metavar="ID", help="Use this session, which was opened and approved before"
    )


def add_shell_arguments(parser: CommandParser) -> None:
    """Add what ``session shell`` understands before its ``--``."""
    parser.usage = (
        "manage.py pgtrigger session shell [SELECTOR ...] --reason TEXT [--for 15m] [--ticket "
        "TEXT] [--history] [--session ID] [-d ALIAS] [-- OPTIONS OF shell ...]"
    )
    add_request(parser)
    parser.add_argument(
        "--session", metavar="ID", help="Use this session, which was opened and approved before"
    )


def run(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Run a management command inside a session.

    Raises:
        Outcome: with the command's own code, or 4 where the session was over before its end.
    """
    words = _words(options)
    if not words:
        raise CommandError(
            "There is no COMMAND: put a management command and its arguments behind --, as in "
            "manage.py pgtrigger session run app.Model:name --reason TEXT -- COMMAND.",
            returncode=int(ExitCode.USAGE),
        )
    _inside(command, options, words, surface="run")


def shell(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Start the project's shell inside a session.

    Raises:
        Outcome: with the shell's own code, or 4 where the session was over before its end.
    """
    _inside(command, options, ["shell", *_words(options)], surface="shell")


@dataclasses.dataclass
class _Run:
    """What becomes of a command in a session: filled in while it goes on."""

    number: int | None = None
    ending: Ending | None = None
    over: bool = False

    def raise_again(self) -> None:
        """Let the session know what the command raised."""
        if self.ending is not None and self.ending.error is not None and self.ending.code:
            raise self.ending.error

    def raised(self, error: BaseException) -> bool:
        """Tell whether an error is the command's own."""
        return self.ending is not None and error is self.ending.error


def _inside(
    command: BaseCommand, options: Mapping[str, Any], words: Sequence[str], *, surface: str
) -> None:
    refuse_unknown(words)
    with Stop(alone=is_from_shell(command)) as stop, noticed(alias_of(options)):
        _inside_until(stop, command, options, words, surface)


def _inside_until(
    stop: Stop,
    command: BaseCommand,
    options: Mapping[str, Any],
    words: Sequence[str],
    surface: str,
) -> None:
    run = _Run()
    said = ""
    try:
        with _session(options, surface) as running:
            run.number = running.id
            _tell(command, options, _begun(running))
            prompt = session_prompt(running) if surface == "shell" else contextlib.nullcontext()
            with stop.raised(), prompt:
                run.ending = carry_out(command, words)
            run.over = _is_over(running, run.ending)
            run.raise_again()
    except SessionOver as error:
        if run.ending is None:
            raise  # it was over before it began
        run.over, said = True, str(error)
    except BaseException as error:
        if not run.raised(error):
            raise
    _finish(command, options, words[0], run, said)


def _finish(
    command: BaseCommand, options: Mapping[str, Any], name: str, run: _Run, said: str
) -> None:
    """Say what is on record, and leave with the right code."""
    if run.ending is None or run.number is None:
        return
    if run.over:
        sentence = said or _what_became(options, run.number)
        _tell_report(command, options, run.number)
        raise CommandError(printable(sentence), returncode=int(ExitCode.REFUSED))
    if run.ending.printed:
        say(command.stderr, run.ending.printed)
    _tell_report(command, options, run.number)
    if isinstance(run.ending.error, KeyboardInterrupt):
        raise run.ending.error
    if run.ending.code:
        raise Outcome(
            f"{name} ended with exit code {run.ending.code}.", run.ending.code, told=True
        )


def _session(options: Mapping[str, Any], surface: str) -> Any:
    alias, given = alias_of(options), options.get("session")
    if given is None:
        return api.session(
            *options["uris"],
            reason=options.get("reason") or "",
            actor=operating_system_actor(),
            ticket=options.get("ticket"),
            duration=options.get("lasts"),
            using=alias,
            history=bool(options.get("history")),
            surface=surface,
        )
    for name, called in _ASKED.items():
        if options.get(name):
            raise CommandError(
                f"--session names one that was asked for already: give no {called} beside it.",
                returncode=int(ExitCode.USAGE),
            )
    found = api.find_session(number_of(given), using=alias)
    return api.session(id=found.id, actor=operating_system_actor(), using=alias)


def _is_over(running: api.RunningSession, ending: Ending) -> bool:
    """Tell whether the session was refused, revoked or expired while the command ran."""
    if running.refused in REFUSALS:
        return True
    try:
        return running.state() is not SessionState.ACTIVE
    except Exception:  # noqa: BLE001 - the database is gone: what the command met tells
        return any(running.over(error) for error in ending.causes())


def _what_became(options: Mapping[str, Any], number: int) -> str:
    try:
        found = api.find_session(number, using=alias_of(options))
    except TriggerOpsError:
        return f"Session {number} is over: what was not committed before is not kept."
    return f"{sessions.status(found)} What was not committed before is not kept."


def _begun(running: api.RunningSession) -> str:
    return (
        f"Session {running.id} is active until {running.expires:%Y-%m-%dT%H:%M:%SZ}: "
        f"{', '.join(running.uris)}."
    )


def _tell_report(command: BaseCommand, options: Mapping[str, Any], number: int) -> None:
    """Say in one line what is on record; that nobody can be asked is no error of the command."""
    try:
        report = api.session_report(number, using=alias_of(options), at_work=True)
    except TriggerOpsError as error:
        _tell(command, options, f"Session {number} could not be reported on: {error}")
        return
    words = f"manage.py pgtrigger session report {number}{for_pgtrigger(alias_of(options))}"
    see = "" if report.clean else f" See {words}."
    findings = " ".join(report.findings)
    _tell(command, options, " ".join(filter(None, [sessions.summary(report), findings])) + see)


def _tell(command: BaseCommand, options: Mapping[str, Any], sentence: str) -> None:
    if options["verbosity"] > 0:
        say(command.stderr, printable(sentence))


def _words(options: Mapping[str, Any]) -> list[str]:
    given = options.get("command") or ()
    return [given] if isinstance(given, str) else [str(word) for word in given]
