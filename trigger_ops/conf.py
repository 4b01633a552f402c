"""The one place that reads Django settings: ``TRIGGER_OPS`` and what pgtrigger's say.

Every key has a typed default in :data:`DEFAULTS`. ``checks`` validates what users set.
"""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

from django.conf import settings

from trigger_ops.durations import duration
from trigger_ops.exceptions import BadDuration, BadSettings, nearest
from trigger_ops.records import Destination
from trigger_ops.states import EventKind, Level, Policy

DEFAULTS: dict[str, Any] = {
    # Selector -> "enabled" | "always" | "replica" | "disabled": the mode a trigger should be in.
    "ENABLED": {},
    # Give pgtrigger's registry indexes while triggers are registered at start-up.
    "FAST_REGISTRY": True,
    # Alias that holds what checks record: runs, findings, what is to be told, canonical forms.
    "RECORD_DATABASE": "default",
    # Milliseconds one catalog query may take; 0 waits for ever.
    "STATEMENT_TIMEOUT": 30_000,
    # Milliseconds a reading waits behind somebody's ACCESS EXCLUSIVE lock before it goes round.
    "LOCK_TIMEOUT": 2_000,
    # How long one attempt to change a table waits for its lock, and how long a run waits in all.
    "APPLY_LOCK_TIMEOUT": "250ms",
    "APPLY_LOCK_BUDGET": "60s",
    # How long a plan file may be applied.
    "PLAN_LIFETIME": "1d",
    # Policy of a trigger that no selector of POLICIES names: "open" | "record" | "session" |
    # "four_eyes"; where several selectors match, the last one counts.
    "POLICY": "record",
    "POLICIES": {},
    # How many people, other than the one who asks, a four_eyes trigger takes.
    "APPROVALS": 1,
    # A session: how long it lasts if nothing is said, how long with all extensions, how long it
    # may go unused, and how long a request waits for approval.
    "SESSION_DURATION": "15m",
    "SESSION_LONGEST": "4h",
    "SESSION_IDLE": "10m",
    "SESSION_WAITS": "1h",
    "SESSION_EXTENSIONS": 2,
    # A session: triggers at most, rows written at most, letters and digits of a reason at least.
    "SESSION_TRIGGERS": 20,
    "SESSION_ROWS": 10_000,
    "SESSION_REASON": 10,
    # Columns whose name contains a match of this regular expression are recorded as "***".
    "MASK": "password|token|secret|ssn|card",
    # Roles that work with the tables but do not own them: they may read evidence and open sessions.
    "APP_ROLES": [],
    # A recorded check: how long that of one database may take, and how long it waits for a deploy
    # that is in progress.
    "CHECK_LIMIT": "10m",
    "DEPLOY_WAIT": "10s",
    # Whom to tell of findings: dicts with "name", "backend" ("email", "webhook" or a class),
    # "level", maybe "kinds", and what that backend wants.
    "NOTIFY": [],
    # Pinged after each complete recorded run, so that silence is noticed.
    "HEARTBEAT_URL": "",
    # Hosts that heartbeats and webhooks may reach although their addresses are private.
    "PRIVATE_HOSTS": [],
    # Where the page of a finding is; {code} stands for its number, such as C001. Empty: the file
    # that comes with trigger_ops.
    "RUNBOOK": "",
    # What a Prometheus server must send as "Authorization: Bearer …"; empty: staff only.
    "METRICS_TOKEN": "",
}

DURATIONS = (
    "APPLY_LOCK_TIMEOUT",
    "APPLY_LOCK_BUDGET",
    "PLAN_LIFETIME",
    "SESSION_DURATION",
    "SESSION_LONGEST",
    "SESSION_IDLE",
    "SESSION_WAITS",
    "CHECK_LIMIT",
    "DEPLOY_WAIT",
)
"""The keys that hold a duration."""

LEAST = {"APPROVALS": 1, "SESSION_TRIGGERS": 1, "SESSION_ROWS": 1, "SESSION_REASON": 1}
"""The keys that hold a whole number and may not be 0, with the least that they may be."""

MOST = {"APPROVALS": 2**15 - 1, "SESSION_EXTENSIONS": 2**15 - 1}
"""The keys whose whole number has less room in our tables than others, with the most that it may be."""

LONGEST = 2**31 - 1
"""The longest timeout that PostgreSQL takes, in milliseconds."""

SECRET = frozenset({"NOTIFY", "HEARTBEAT_URL", "PRIVATE_HOSTS", "METRICS_TOKEN"})
"""The keys whose values appear in no message: addresses and tokens, or what stands in their place."""

MODES = ("enabled", "disabled", "replica", "always")
"""What ``ENABLED`` may declare, in any case."""

_WORD = re.compile(r"[A-Za-z]{0,12}")


def declared() -> object:
    """Return what the project put into ``settings.TRIGGER_OPS``, whatever it is."""
    return getattr(settings, "TRIGGER_OPS", {})


def get(key: str) -> Any:
    """Return one setting, or its default. ``key`` must be in :data:`DEFAULTS`.

    Raises:
        BadSettings: when the value is not of the default's type. System checks say so earlier,
            but commands and callers may skip those.
    """
    value, problem = _read(key)  # in a function of its own: reports of errors show variables
    if problem:
        raise BadSettings(problem)
    return value


def _read(key: str) -> tuple[Any, str]:
    """Return one setting, and what is wrong with it in words that repeat no secret."""
    whole, default = declared(), DEFAULTS[key]
    if not isinstance(whole, dict):
        given = type(whole).__name__
        return None, f"TRIGGER_OPS must be a dict, not of type {given}: mend it in the settings."
    value = whole.get(key, default)
    if type(value) is type(default):
        return value, ""
    given = type(value).__name__ if key in SECRET else repr(value)
    return None, f'TRIGGER_OPS["{key}"] must be of type {type(default).__name__}, not {given}.'


def fast_registry() -> bool:
    """Tell whether start-up may index pgtrigger's registry.

    False for settings that cannot be read: this runs before any check could report them.
    """
    try:
        return bool(get("FAST_REGISTRY"))
    except BadSettings:
        return False


def declared_modes() -> dict[str, str]:
    """Return the declared enabled mode by selector, in upper case as in ``states.Enabled``.

    Raises:
        BadSettings: for a selector that is no text, and for a mode that does not exist.
    """
    modes = get("ENABLED")
    for selector, mode in modes.items():
        if not isinstance(selector, str):
            raise BadSettings(f'TRIGGER_OPS["ENABLED"] has the selector {selector!r}, not a text.')
        if not isinstance(mode, str) or mode.lower() not in MODES:
            raise BadSettings(
                f'TRIGGER_OPS["ENABLED"]["{selector}"] is {mode!r}: it must be one of '
                f"{', '.join(MODES)}."
            )
    return {selector: mode.upper() for selector, mode in modes.items()}


def record_database() -> str:
    """Return the alias that remembers canonical forms.

    Raises:
        BadSettings: for an alias that ``settings.DATABASES`` does not have.
    """
    alias = str(get("RECORD_DATABASE"))
    if alias not in settings.DATABASES:
        raise BadSettings(
            f'TRIGGER_OPS["RECORD_DATABASE"] is "{alias}": '
            f"{nearest(alias, list(settings.DATABASES))}"
        )
    return alias


def statement_timeout() -> int:
    """Return how long one catalog query may take, in milliseconds; 0 is for ever.

    Raises:
        BadSettings: for what PostgreSQL does not take.
    """
    return _milliseconds("STATEMENT_TIMEOUT")


def lock_timeout() -> int:
    """Return how long a reading waits behind somebody's lock, in milliseconds; 0 is for ever.

    Raises:
        BadSettings: for what PostgreSQL does not take.
    """
    return _milliseconds("LOCK_TIMEOUT")


def apply_lock_timeout() -> dt.timedelta:
    """Return how long one attempt to change a table waits for its lock.

    Raises:
        BadSettings: for what is no duration.
    """
    return _duration("APPLY_LOCK_TIMEOUT")


def apply_lock_budget() -> dt.timedelta:
    """Return how long a run waits for locks in all.

    Raises:
        BadSettings: for what is no duration.
    """
    return _duration("APPLY_LOCK_BUDGET")


def plan_lifetime() -> dt.timedelta:
    """Return how long a plan file may be applied.

    Raises:
        BadSettings: for what is no duration.
    """
    return _duration("PLAN_LIFETIME")


def session_duration() -> dt.timedelta:
    """Return how long a session lasts if nothing is said.

    Raises:
        BadSettings: for what is no duration.
    """
    return _duration("SESSION_DURATION")


def session_longest() -> dt.timedelta:
    """Return how long a session may last, extensions included.

    Raises:
        BadSettings: for what is no duration.
    """
    return _duration("SESSION_LONGEST")


def session_idle() -> dt.timedelta:
    """Return how long a session may go unused.

    Raises:
        BadSettings: for what is no duration.
    """
    return _duration("SESSION_IDLE")


def session_waits() -> dt.timedelta:
    """Return how long a request waits for approval.

    Raises:
        BadSettings: for what is no duration.
    """
    return _duration("SESSION_WAITS")


def check_limit() -> dt.timedelta:
    """Return how long the recorded check of one database may take.

    Raises:
        BadSettings: for what is no duration.
    """
    return _duration("CHECK_LIMIT")


def deploy_wait() -> dt.timedelta:
    """Return how long a check waits for a deploy to be over.

    Raises:
        BadSettings: for what is no duration.
    """
    return _duration("DEPLOY_WAIT")


def destinations() -> tuple[Destination, ...]:
    """Return whom to tell of findings, in the order of the settings.

    Raises:
        BadSettings: for a dict without a name or backend, and for a level that does not exist.
    """
    found = tuple(_destination(index, one) for index, one in enumerate(get("NOTIFY")))
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise BadSettings(f'TRIGGER_OPS["NOTIFY"] has two destinations named "{name}".')
    return found


def heartbeat_url() -> str:
    """Return the address to ping after a complete run, or an empty text."""
    return str(get("HEARTBEAT_URL"))


def private_hosts() -> tuple[str, ...]:
    """Return the hosts that may be reached although their addresses are private.

    Raises:
        BadSettings: for what is no list of names.
    """
    hosts = get("PRIVATE_HOSTS")
    if not all(isinstance(host, str) and host for host in hosts):
        raise BadSettings('TRIGGER_OPS["PRIVATE_HOSTS"] must be a list of host names.')
    return tuple(host.lower() for host in hosts)


def runbook(finding: str) -> str:
    """Return where the page about a finding is: ``trigger_ops.C001`` or ``C001``.

    Without ``TRIGGER_OPS["RUNBOOK"]`` that is the file that comes with trigger_ops, on this disk.
    """
    return own_runbook(finding) or str(shipped_runbook(finding))


def own_runbook(finding: str) -> str:
    """Return where the project has its page about a finding, or an empty text if it has none."""
    return str(get("RUNBOOK")).replace("{code}", _number(finding))


def shipped_runbook(finding: str) -> Path:
    """Return the file about a finding that comes with trigger_ops."""
    package = Path(__file__).resolve().parent
    # A wheel has the documentation inside of the package, a checkout beside it.
    folders = (package / "docs", package.parent / "docs")
    found = next((one for one in folders if one.is_dir()), folders[0])
    return found / "findings" / f"{_number(finding)}.md"


def _number(finding: str) -> str:
    return finding.removeprefix("trigger_ops.")


def metrics_token() -> str:
    """Return what a Prometheus server has to send, or an empty text."""
    return str(get("METRICS_TOKEN"))


def number(key: str) -> int:
    """Return a setting that is a whole number and counts something.

    Raises:
        BadSettings: for one that is too small or too large.
    """
    value, least, most = int(get(key)), LEAST.get(key, 0), MOST.get(key, LONGEST)
    if not least <= value <= most:
        raise BadSettings(f'TRIGGER_OPS["{key}"] must be from {least} to {most}, not {value}.')
    return value


def default_policy() -> Policy:
    """Return the policy of triggers that no selector names.

    Raises:
        BadSettings: for a policy that does not exist.
    """
    return _policy("POLICY", get("POLICY"))


def declared_policies() -> dict[str, Policy]:
    """Return the declared policies by selector, in their order.

    Raises:
        BadSettings: for a selector that is no text, and for a policy that does not exist.
    """
    declared_ones = get("POLICIES")
    for selector in declared_ones:
        if not isinstance(selector, str):
            raise BadSettings(
                f'TRIGGER_OPS["POLICIES"] has the selector {selector!r}, not a text.'
            )
    return {
        selector: _policy(f'POLICIES"]["{selector}', mode)
        for selector, mode in declared_ones.items()
    }


def mask() -> re.Pattern[str]:
    """Return the expression that the names of masked columns match; an empty one masks nothing.

    Raises:
        BadSettings: for what is no regular expression.
    """
    try:
        return re.compile(get("MASK") or r"(?!)", re.IGNORECASE)
    except re.error as error:
        raise BadSettings(f'TRIGGER_OPS["MASK"] is no regular expression: {error}.') from error


def app_roles() -> tuple[str, ...]:
    """Return the database roles that may open sessions without owning the tables.

    Raises:
        BadSettings: for what is no list of names.
    """
    roles = get("APP_ROLES")
    if not all(isinstance(role, str) and role for role in roles):
        raise BadSettings(f'TRIGGER_OPS["APP_ROLES"] must be a list of role names, not {roles!r}.')
    return tuple(roles)


def prune_on_install() -> bool:
    """Tell whether pgtrigger's setting has an ``install`` of everything prune as well."""
    return bool(getattr(settings, "PGTRIGGER_PRUNE_ON_INSTALL", True))


def _destination(index: int, given: object) -> Destination:
    where = f'TRIGGER_OPS["NOTIFY"][{index}]'
    if not isinstance(given, dict):
        raise BadSettings(f"{where} must be a dict, not of type {type(given).__name__}.")
    options = dict(given)
    name, backend = options.pop("name", None), options.pop("backend", None)
    level, kinds = options.pop("level", Level.WARNING.name), options.pop("kinds", ())
    for key, value in (("name", name), ("backend", backend)):
        if not isinstance(value, str) or not value:
            raise BadSettings(f'{where} must have a "{key}", a text.')
    try:
        return Destination(
            name=str(name),
            backend=str(backend),
            level=Level[str(level).upper()],
            kinds=frozenset(EventKind(str(kind).lower()) for kind in kinds),
            options=options,
        )
    except (KeyError, ValueError, TypeError):
        raise BadSettings(
            f"{where} has {_words('level', level)} and {_words('kinds', kinds)}: levels are "
            f"{', '.join(one.name for one in Level)}, kinds are {', '.join(EventKind)}."
        ) from None


def _words(key: str, value: object) -> str:
    """Return what was given where words belong: what does not look like one may be a secret."""
    told = [value] if isinstance(value, str) else value
    if isinstance(told, list | tuple | set) and all(_WORD.fullmatch(str(one)) for one in told):
        return f"{key} {value!r}"
    return f"{key} of another kind"


def _policy(key: str, mode: object) -> Policy:
    try:
        return Policy(str(mode).lower())
    except ValueError as error:
        raise BadSettings(
            f'TRIGGER_OPS["{key}"] is {mode!r}: it must be one of {", ".join(Policy)}.'
        ) from error


def _duration(key: str) -> dt.timedelta:
    try:
        return duration(get(key))
    except BadDuration as error:
        raise BadSettings(f'TRIGGER_OPS["{key}"]: {error}') from error


def _milliseconds(key: str) -> int:
    value = int(get(key))
    if not 0 <= value <= LONGEST:
        raise BadSettings(f'TRIGGER_OPS["{key}"] must be from 0 to {LONGEST}, not {value}.')
    return value
