"""What the page of a trigger says of it in words: its state, what it is for, each facet's sides."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from trigger_ops import conf
from trigger_ops.catalog.printing import read_printed
from trigger_ops.drift.triggers import quoted
from trigger_ops.inspection import InspectedTrigger
from trigger_ops.leases import Lease
from trigger_ops.planner.spelling import MODES
from trigger_ops.registry import RegisteredTrigger
from trigger_ops.registry.definition import EVENTS
from trigger_ops.rendering.facets import facet_sides
from trigger_ops.rendering.wording import printable
from trigger_ops.states import Enabled, Facet, Status

STATES: dict[Status, tuple[str, str, Promise]] = {
    Status.INSTALLED: ("good", "✔", gettext_lazy("The database has it as the code says.")),
    Status.OUTDATED: (
        "warn",
        "▲",
        gettext_lazy("The database has an older form of it than the code."),
    ),
    Status.UNINSTALLED: (
        "bad",
        "✖",
        gettext_lazy("The code declares it and the database does not have it: nothing fires."),
    ),
    Status.PRUNE: (
        "warn",
        "▲",
        gettext_lazy("No code declares it any more; the database has it, and it still fires."),
    ),
    Status.UNALLOWED: (
        "quiet",
        "○",
        gettext_lazy("The routers keep its model out of this database."),
    ),
    Status.TAMPERED: (
        "bad",
        "✖",
        gettext_lazy("Somebody changed it in the database: no version of the code was like this."),
    ),
    Status.FOREIGN: (
        "quiet",
        "○",
        gettext_lazy("It was made by somebody else; no code of this project declares it."),
    ),
    Status.UNKNOWN: ("warn", "?", gettext_lazy("It could not be compared with the code.")),
}
"""For each status the tone it is shown in, its sign, and what it means."""

FACETS: dict[Facet, Promise] = {
    Facet.BODY: gettext_lazy("Function body"),
    Facet.CONDITION: gettext_lazy("Condition"),
    Facet.TIMING: gettext_lazy("Timing"),
    Facet.EVENTS: gettext_lazy("Events"),
    Facet.LEVEL: gettext_lazy("Level"),
    Facet.COLUMNS: gettext_lazy("Columns"),
    Facet.ARGUMENTS: gettext_lazy("Arguments"),
    Facet.DEFERRAL: gettext_lazy("Deferral"),
    Facet.TRANSITION: gettext_lazy("Transition tables"),
    Facet.FUNCTION: gettext_lazy("Function"),
    Facet.SECURITY: gettext_lazy("Security"),
    Facet.OWNER: gettext_lazy("Owner of the function"),
    Facet.ENABLED: gettext_lazy("Enabled mode"),
    Facet.COMMENT: gettext_lazy("Comment"),
}

_PURPOSES: dict[str, Promise] = {
    "ReadOnly": gettext_lazy("It refuses changes of columns that are read-only."),
    "SoftDelete": gettext_lazy("It marks a row as deleted where a row would be deleted."),
    "FSM": gettext_lazy("It refuses every change of a state that is not declared."),
    "UpdateSearchVector": gettext_lazy("It keeps a column for full text search up to date."),
    "Protect": gettext_lazy("It refuses %(events)s."),
}
_GENERAL = frozenset({*_PURPOSES, "Composer", "Trigger", "object"})


@dataclasses.dataclass(frozen=True, slots=True)
class Badge:
    """A state as it is shown: a tone for its colour, a sign and a word."""

    tone: str
    sign: str
    word: str


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """One facet of a trigger: what the code says and what the database has."""

    label: str
    registered: str
    installed: str
    differs: bool


def badges(trigger: InspectedTrigger) -> list[Badge]:
    """Return the status and, where there is a trigger, when it fires."""
    tone, sign, _sentence = STATES[trigger.status]
    found = [Badge(tone, sign, trigger.status.value)]
    if trigger.installed is not None:
        wrong = Facet.ENABLED in trigger.facets
        off = trigger.enabled in (Enabled.DISABLED, Enabled.REPLICA, Enabled.PARTIAL)
        tone, sign = ("bad", "✖") if wrong and off else ("warn", "▲") if wrong else ("good", "✔")
        if off and not wrong:
            tone, sign = "quiet", "○"
        found.append(Badge(tone, sign, trigger.enabled.value))
    return found


def meaning(trigger: InspectedTrigger) -> str:
    """Return one sentence that says what the status means."""
    sentence = str(STATES[trigger.status][2])
    if trigger.status is Status.INSTALLED and Facet.ENABLED in trigger.facets:
        return _("The database has it as the code says, but it does not fire as it should.")
    if trigger.status is Status.UNALLOWED and trigger.installed is not None:
        return _("The routers keep its model out of this database, yet it is there and fires.")
    return sentence


def purposes(trigger: InspectedTrigger) -> list[str]:
    """Return sentences that say what it protects: of its model, and of its kind."""
    registered = trigger.registered
    if registered is None:
        return []
    doc = (registered.model_class.__doc__ or "").strip().partition("\n")[0]
    # Django makes up a docstring: the model's name and its fields.
    own = not doc.startswith(f"{registered.model_class.__name__}(")
    about = f"{capfirst(str(registered.model_class._meta.verbose_name))}: {printable(doc)}"
    found = [about] if doc and own else []
    kind = next((name for name in _PURPOSES if name in registered.kinds), None)
    definition = registered.definition
    if kind is not None and definition is not None:
        events = ", ".join(word for word, bit in EVENTS.items() if definition.events & bit)
        found.append(str(_PURPOSES[kind]) % {"events": events})
    return found


def kind_of(registered: RegisteredTrigger) -> str:
    """Return the name of the trigger's class; the most special of those that pgtrigger knows."""
    own = sorted(registered.kinds - _GENERAL)
    if own:
        return ", ".join(own)
    return next((name for name in _PURPOSES if name in registered.kinds), "Trigger")


def sides(trigger: InspectedTrigger) -> list[Facts]:
    """Return every facet with both sides; bodies are left to the SQL."""
    both = trigger.registered is not None and trigger.installed is not None
    every = dataclasses.replace(trigger, facets=tuple(Facet)) if both else trigger
    return [
        Facts(
            str(FACETS[facet]),
            printable(registered, keep="\n\t"),
            printable(installed, keep="\n\t"),
            facet in trigger.facets if both else False,
        )
        for facet, registered, installed in facet_sides(every)
        if facet is not Facet.BODY and (registered or installed)
    ]


def details(trigger: InspectedTrigger, lease: Lease | None) -> list[tuple[str, str]]:
    """Return what else there is to know, as labels and texts."""
    registered, live = trigger.registered, trigger.installed
    found: list[tuple[str, str | None]] = [
        (_("Database"), trigger.database),
        (_("Schema"), trigger.schema),
        (_("Table"), trigger.table),
        (_("Owner of the table"), live.table_owner if live else None),
        (_("Name in the database"), trigger.trigger),
        (_("Kind"), kind_of(registered) if registered else None),
        (_("Declared mode"), trigger.expected_mode.value if registered else None),
        (_("Hash registered"), trigger.registered_hash),
        (_("Hash installed"), trigger.installed_hash),
    ]
    if live is not None and live.clones:
        number = len(live.clones)
        told = ngettext("%(number)d partition", "%(number)d partitions", number)
        found.append((_("Copies"), told % {"number": number}))
    if lease is not None:
        found.append((_("Disabled on a lease by"), f"{lease.holder}: {lease.reason}"))
    return [(label, printable(text)) for label, text in found if text]


def registered_sql(trigger: InspectedTrigger) -> str:
    """Return all that pgtrigger would execute to install it, "" where it does not know how."""
    definition = trigger.registered.definition if trigger.registered else None
    return definition.install_sql.strip("\n").rstrip() if definition else ""


def installed_sql(trigger: InspectedTrigger) -> str:
    """Return what PostgreSQL prints of function and trigger; "" where there is none.

    Raises:
        DatabaseUnreadable: when the database cannot be asked.
    """
    live = trigger.installed
    if live is None:
        return ""
    printed = read_printed(
        trigger.database,
        live.oid,
        statement_timeout=conf.statement_timeout(),
        lock_timeout=conf.lock_timeout(),
    )
    if printed is None:
        return ""
    table = f"{quoted(live.schema)}.{quoted(live.table)}"
    parts: Sequence[str] = [one.rstrip() for one in printed]
    if live.comment is not None:
        text = live.comment.replace("'", "''")
        parts = [*parts, f"COMMENT ON TRIGGER {quoted(live.name)} ON {table} IS '{text}'"]
    mode = Enabled.from_catalog(live.enabled)
    if mode is not Enabled.ENABLED:
        parts = [*parts, f"ALTER TABLE {table} {MODES[mode]} TRIGGER {quoted(live.name)}"]
    return "\n\n".join(f"{part};" for part in parts)
