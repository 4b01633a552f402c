"""``pgtrigger guard``: gate and witnesses, and what went past them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from trigger_ops import api
from trigger_ops.aliases import for_pgtrigger
from trigger_ops.api.guard_terms import refuse_while_in_use
from trigger_ops.exceptions import DatabaseUnreadable, Refused, SessionRefused
from trigger_ops.guard.report import GuardReport
from trigger_ops.management.actors import operating_system_actor
from trigger_ops.management.outcomes import Outcome
from trigger_ops.management.streams import say, wants_colour, write_data
from trigger_ops.management.subcommands import changes
from trigger_ops.management.subcommands.options import add_databases, databases_of, one_of
from trigger_ops.planner import Request
from trigger_ops.records import Unattributed
from trigger_ops.rendering import guard
from trigger_ops.rendering.documents import as_json
from trigger_ops.rendering.wording import counted, printable
from trigger_ops.sessions.requests import stated_reason
from trigger_ops.states import ExitCode, Verb

SUMMARY = "Guard what is ignored: gate, witnesses, and what went past them."
FORMATS = ("text", "json")


# status -------------------------------------------------------------------------------------------


def _add_status_arguments(parser: CommandParser) -> None:
    add_databases(parser, default="default")
    parser.add_argument("--format", choices=FORMATS, default="text", help="Default: text")


def _status(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Print what holds.

    Raises:
        Outcome: 1 if something is amiss, 3 if a database could not be read.
    """
    wanted = one_of(options["format"], FORMATS, option="--format")
    reports: list[GuardReport] = []
    unread: list[tuple[str, str]] = []
    for alias in _aliases(options):
        try:
            reports.append(api.guard_status(alias))
        except DatabaseUnreadable as error:
            unread.append((alias, printable(str(error))))
    if wanted == "json":
        write_data(command.stdout, as_json(guard.document(reports, unread)))
    else:
        colour = wants_colour(command.stdout, options)
        write_data(command.stdout, "\n".join(guard.as_text(one, colour=colour) for one in reports))
    for sentence in (*(one for _, one in unread), *(printable(one.unread) for one in reports)):
        if sentence:
            say(command.stderr, sentence)
    code = guard.exit_code(reports, unread)
    if code != ExitCode.CLEAN:
        raise Outcome("The guard is not as it should be.", code, told=True)


# install and remove -------------------------------------------------------------------------------


def _add_install_arguments(parser: CommandParser) -> None:
    add_databases(parser, default="default")
    parser.add_argument(
        "--ddl-guard",
        action="store_true",
        help="Also have event triggers watch over gate and witnesses; takes a superuser",
    )
    changes.add_run_options(parser)


def _install(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Put the guard in place, or bring it up to date.

    Raises:
        Outcome: as :func:`trigger_ops.management.subcommands.changes.handle`.
    """
    watches = bool(options.get("ddl_guard"))
    if watches and options.get("plan") is not None:
        raise CommandError(
            "--plan says itself what to do: give no --ddl-guard beside it.",
            returncode=int(ExitCode.USAGE),
        )
    aliases = _aliases(options) if watches else []
    for alias in aliases:
        api.refuse_ordinary_role(alias)
    # One that is on knows what our functions were; renewed first, it lets them be replaced.
    watched = [alias for alias in aliases if api.ddl_script(alias, Verb.GUARD_REMOVE)]

    def renew() -> None:
        for alias in watched:
            _switch_ddl_guard(command, options, alias, Verb.GUARD_INSTALL)

    if watched and options.get("dry_run"):
        renew()
    changes.handle(command, options, Verb.GUARD_INSTALL, first=renew if watched else None)
    for alias in aliases:
        if alias not in watched:
            _switch_ddl_guard(command, options, alias, Verb.GUARD_INSTALL)


def _add_remove_arguments(parser: CommandParser) -> None:
    add_databases(parser, default="default")
    changes.add_run_options(parser)


def _remove(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Take the guard away; what is on record stays. A dry run may be made while a session is active.

    Raises:
        Outcome: as :func:`trigger_ops.management.subcommands.changes.handle`.
    """
    watched = [alias for alias in _aliases(options) if api.ddl_script(alias, Verb.GUARD_REMOVE)]
    for alias in watched:
        if options.get("plan") is not None:
            raise Outcome(
                f'The DDL guard is on in "{alias}", of which no plan file speaks: run '
                f"manage.py pgtrigger guard remove{for_pgtrigger(alias)} without --plan.",
                ExitCode.REFUSED,
            )
        api.refuse_ordinary_role(alias)

    if options.get("plan") is None:
        _refuse_or_warn(command, options)

    def switch_all_off() -> None:
        for alias in watched:
            _switch_ddl_guard(command, options, alias, Verb.GUARD_REMOVE)

    if watched and options.get("dry_run"):
        switch_all_off()
    changes.handle(command, options, Verb.GUARD_REMOVE, first=switch_all_off if watched else None)


def _refuse_or_warn(command: BaseCommand, options: Mapping[str, Any]) -> None:
    request = Request(verb=Verb.GUARD_REMOVE, databases=tuple(_aliases(options)))
    try:
        refuse_while_in_use(request)
    except Refused as error:
        if not options.get("dry_run"):
            raise
        if options["verbosity"] > 0:
            say(command.stderr, f"Warning: {printable(str(error))}")


def _switch_ddl_guard(
    command: BaseCommand, options: Mapping[str, Any], alias: str, verb: Verb
) -> None:
    """Put the guard of DDL in place or take it away; show how under ``--dry-run``."""
    if options.get("dry_run"):
        texts = api.ddl_script(alias, verb)
        write_data(command.stdout, "\n".join(f"{text};" for text in texts))
        return
    reason = options.get("reason") or ""
    api.switch_ddl_guard(alias, verb, actor=operating_system_actor(), reason=reason)
    if options["verbosity"] > 0:
        state = "on" if verb is Verb.GUARD_INSTALL else "off"
        say(command.stderr, f"The DDL guard is {state} in {printable(alias)}.")


# acknowledge --------------------------------------------------------------------------------------


def _add_acknowledge_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "transactions",
        nargs="*",
        type=int,
        metavar="TRANSACTION",
        help="Only these, by the number that guard status prints (default: all)",
    )
    add_databases(parser, default="default")
    parser.add_argument("--reason", default="", help="Why it was in order, or what came of it")
    parser.add_argument(
        "--no-input", "--noinput", action="store_true", help="Do not ask, even on a terminal"
    )


def _acknowledge(command: BaseCommand, options: Mapping[str, Any]) -> None:
    """Say of what went past triggers that somebody knows.

    Raises:
        CommandError: 2 for a reason that says too little, and for a transaction that is not there.
        Outcome: 4 if it was declined.
    """
    try:
        reason = stated_reason(options.get("reason") or "", what="An acknowledgement")
    except SessionRefused as error:
        raise CommandError(str(error), returncode=int(ExitCode.USAGE)) from error
    chosen = {alias: api.unattributed(alias) for alias in _aliases(options)}
    if options.get("transactions"):
        chosen = _only(chosen, options["transactions"])
    if not any(chosen.values()):
        say(command.stderr, "There is nothing to acknowledge.")
        return
    for alias, transactions in chosen.items():
        lines = [f"{printable(alias)} {guard.transaction_line(one)}" for one in transactions]
        write_data(command.stdout, "\n".join(lines))
    if not options.get("no_input") and changes.somebody_is_there():
        changes.demand_yes(command, "Acknowledge this?")
    for alias, transactions in chosen.items():
        number = api.acknowledge(
            alias,
            [one.transaction for one in transactions],
            actor=operating_system_actor(),
            reason=reason,
        )
        if number and options["verbosity"] > 0:
            sentence = f"{counted(number, 'transaction')} of {printable(alias)} acknowledged."
            say(command.stderr, sentence)


def _only(
    found: Mapping[str, Sequence[Unattributed]], wanted: Iterable[int]
) -> dict[str, list[Unattributed]]:
    """Return what was asked for by number.

    Raises:
        CommandError: 2 for a number that is not there.
    """
    numbers = {int(one) for one in wanted}
    there = {one.transaction for transactions in found.values() for one in transactions}
    if missing := sorted(numbers - there):
        listed = ", ".join(map(str, missing))
        raise CommandError(
            f"Nothing is to be acknowledged in transaction {listed}: manage.py pgtrigger guard "
            "status lists what is.",
            returncode=int(ExitCode.USAGE),
        )
    return {
        alias: [one for one in transactions if one.transaction in numbers]
        for alias, transactions in found.items()
    }


def _aliases(options: Mapping[str, Any]) -> list[str]:
    if options.get("all_databases"):
        return api.postgres_aliases()
    return databases_of(options) or [DEFAULT_DB_ALIAS]


VERBS: Mapping[
    str,
    tuple[str, Callable[[CommandParser], None], Callable[[BaseCommand, Mapping[str, Any]], None]],
] = {
    "status": (
        "Tell what is enforced, what is detected while it lasts, and what is amiss.",
        _add_status_arguments,
        _status,
    ),
    "install": (
        "Put gate and witnesses in place, or bring them up to date.",
        _add_install_arguments,
        _install,
    ),
    "remove": (
        "Take gate and witnesses away; what is on record stays.",
        _add_remove_arguments,
        _remove,
    ),
    "acknowledge": (
        "Say of what went past triggers outside any session that somebody knows.",
        _add_acknowledge_arguments,
        _acknowledge,
    ),
}
"""What ``guard`` can do: summary, arguments, handler."""
