"""Which triggers the list shows: filters of its address, and terms of its search box.

``state:tampered app:shop invoice`` finds what has all three; one term given twice finds either.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from trigger_ops.exceptions import nearest
from trigger_ops.inspection import InspectedTrigger
from trigger_ops.rendering.wording import printable
from trigger_ops.states import Enabled, Facet, Status

Values = tuple[str, ...]

_TERM = re.compile(r'(?P<term>[A-Za-z]+):(?:"(?P<quoted>[^"]*)"|(?P<plain>\S*))(?=\s|$)')
_WORD = re.compile(r'"(?P<quoted>[^"]*)"|(?P<plain>\S+)')
_STOCK = ("ReadOnly", "SoftDelete", "FSM", "UpdateSearchVector", "Protect")
"""Classes of pgtrigger, the most special first."""
_TOO_GENERAL = frozenset({"object", "Trigger", "Composer"})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """Something to filter by: ``name`` in the address, ``term`` in the search box.

    ``closed`` are all values that there can ever be; without it, those that occur.
    """

    name: str
    term: str
    title: Promise
    of: Callable[[InspectedTrigger], Values]
    closed: Values = ()


def _kinds(one: InspectedTrigger) -> Values:
    """Return what a trigger is: the project's own classes, and the one of pgtrigger below them.

    One alone, because pgtrigger makes ReadOnly from Protect, and nobody means both by "protect".
    """
    if one.registered is None:
        return ()
    kinds = one.registered.kinds
    stock = next((name for name in _STOCK if name in kinds), None)
    own = sorted(kinds.difference(_STOCK, _TOO_GENERAL))
    return (*own, *([stock] if stock else [])) or ("Trigger",)


def _present(value: str | None) -> Values:
    return (value,) if value else ()


FIELDS: tuple[Field, ...] = (
    Field(
        name="status",
        term="state",
        title=gettext_lazy("Status"),
        of=lambda one: (one.status.value,),
        closed=tuple(Status),
    ),
    Field(
        name="enabled",
        term="enabled",
        title=gettext_lazy("Enabled mode"),
        of=lambda one: (one.enabled.value,),
        closed=tuple(Enabled),
    ),
    Field(
        name="app",
        term="app",
        title=pgettext_lazy("of Django", "App"),
        of=lambda one: (one.registered.app_label,) if one.registered else (),
    ),
    Field(
        name="database",
        term="db",
        title=gettext_lazy("Database"),
        of=lambda one: (one.database,),
    ),
    Field(
        name="schema",
        term="schema",
        title=gettext_lazy("Schema"),
        of=lambda one: _present(one.schema),
    ),
    Field(name="kind", term="kind", title=gettext_lazy("Kind"), of=_kinds),
    Field(
        name="facet",
        term="facet",
        title=gettext_lazy("Differs in"),
        of=lambda one: tuple(facet.value for facet in one.facets),
        closed=tuple(Facet),
    ),
)
_TERMS = {word: field for field in FIELDS for word in (field.term, field.name)}


@dataclasses.dataclass(frozen=True, slots=True)
class Described:
    """A trigger and what there is to find it by."""

    trigger: InspectedTrigger
    values: Mapping[str, Values]
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """What is asked for. ``filters`` are of the address, ``terms`` and ``words`` of the text.

    ``problems`` are sentences about what is not understood; it narrows nothing down.
    """

    text: str
    filters: Mapping[str, Values]
    terms: Mapping[str, Values]
    words: Values
    problems: Values

    @property
    def is_empty(self) -> bool:
        """True where nothing is narrowed down."""
        return not (self.filters or self.terms or self.words)

    def matches(self, one: Described, *, but: str = "") -> bool:
        """Tell whether a trigger is asked for, with the filter of one field left aside."""
        return (
            all(
                _share(one.values[name], wanted)
                for name, wanted in self.filters.items()
                if name != but
            )
            and all(_share(one.values[name], wanted) for name, wanted in self.terms.items())
            and all(word.casefold() in one.text for word in self.words)
        )


def described(trigger: InspectedTrigger) -> Described:
    """Return a trigger with all that it can be found by."""
    return Described(
        trigger,
        {field.name: field.of(trigger) for field in FIELDS},
        f"{trigger.uri}\n{trigger.trigger}\n{trigger.table}".casefold(),
    )


def read_search(asked: QueryDict, every: Sequence[Described]) -> Search:
    """Read what an address asks for; ``every`` is all that there is."""
    occurring = {
        field.name: field.closed
        or tuple(dict.fromkeys(value for one in every for value in one.values[field.name]))
        for field in FIELDS
    }
    problems: list[str] = []
    filters: dict[str, Values] = {}
    for field in FIELDS:
        for value in asked.getlist(field.name):
            _add(filters, field, value, occurring, problems)
    text = asked.get("q", "").strip()
    terms, words = _read_text(text, every, occurring, problems)
    return Search(
        text=text, filters=filters, terms=terms, words=tuple(words), problems=tuple(problems)
    )


def counted(search: Search, every: Sequence[Described]) -> dict[str, Counter[str]]:
    """Return how many triggers each value of each field would show beside the other filters."""
    return {
        field.name: Counter(
            value
            for one in every
            if search.matches(one, but=field.name)
            for value in one.values[field.name]
        )
        for field in FIELDS
    }


def sentence(search: Search) -> str:
    """Return in words what the list is narrowed down to; "" where it shows everything."""
    parts = []
    for chosen in (search.filters, search.terms):
        for field in FIELDS:
            if values := chosen.get(field.name):
                told = _(" or ").join(map(printable, values))
                parts.append(_("%(title)s is %(values)s") % {"title": field.title, "values": told})
    parts += [_('the name contains "%s"') % printable(word) for word in search.words]
    return _(" and ").join(parts)


def _share(values: Values, wanted: Values) -> bool:
    return any(value in wanted for value in values)


def _read_text(
    text: str,
    every: Sequence[Described],
    occurring: Mapping[str, Values],
    problems: list[str],
) -> tuple[dict[str, Values], list[str]]:
    terms: dict[str, Values] = {}
    words: list[str] = []
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        found = _TERM.match(text, position)
        # "orders:pgtrigger_x" is a name, of a trigger that no code declares.
        if found is not None and _names_any(found[0], every):
            found = None
        match = found or _WORD.match(text, position)
        if match is None:  # a quotation mark that nothing closes is taken as it is
            words.append(text[position:])
            break
        value = match["quoted"] if match["quoted"] is not None else match["plain"]
        if found is None:
            words += [value] if value else []
        elif (field := _TERMS.get(found["term"].lower())) is None:
            problems.append(
                _('"%(term)s:" is no term to search by: %(nearest)s')
                % {
                    "term": found["term"],
                    "nearest": nearest(found["term"], [one.term for one in FIELDS]).told(),
                }
            )
        else:
            _add(terms, field, value, occurring, problems)
        position = match.end()
    return terms, words


def _names_any(word: str, every: Sequence[Described]) -> bool:
    return any(word.casefold() in one.text for one in every)


def _add(
    chosen: dict[str, Values],
    field: Field,
    value: str,
    occurring: Mapping[str, Values],
    problems: list[str],
) -> None:
    """Add a value of a field to what is chosen, or say that there is none such."""
    known = occurring[field.name]
    exact = tuple(one for one in known if one == value)
    found = exact or tuple(one for one in known if one.casefold() == value.casefold())
    if not found:
        problems.append(
            _('%(title)s "%(value)s" is not known: %(nearest)s')
            % {
                "title": field.title,
                "value": printable(value),
                "nearest": printable(nearest(value, known).told()),
            }
        )
        return
    chosen[field.name] = tuple(dict.fromkeys((*chosen.get(field.name, ()), *found)))
