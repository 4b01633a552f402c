"""What stands in the columns of our lists: texts without hidden characters, times, levels, links."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import Case, When
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from trigger_ops import conf
from trigger_ops.rendering.wording import printable
from trigger_ops.states import Level

Words = Any
"""What is said, now or in the language of whoever asks later."""
Column = Callable[[Any], str]

NOTHING = "\N{EN DASH}"

LONGEST = 120
"""Longer texts are cut in a list; the page of the row has them whole."""

LOOKS: Mapping[str, tuple[str, str]] = {
    Level.CRITICAL.name: ("bad", "✖"),
    Level.ERROR.name: ("bad", "■"),
    Level.WARNING.name: ("warn", "▲"),
    Level.INFO.name: ("quiet", "●"),
}
"""The tone and the sign of each level."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table on the page of a row; ``note`` is said below it, ``nothing`` in place of no rows."""

    title: str
    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    nothing: str = ""
    note: str = ""


def fields_of(model: type[models.Model]) -> Callable[[str], models.Field[Any, Any]]:
    """Return a function that returns a field of a model by its name."""

    def field(name: str) -> models.Field[Any, Any]:
        found = model._meta.get_field(name)
        assert isinstance(found, models.Field)  # noqa: S101 - of ours, and none of a relation back
        return found

    return field


def text(field: models.Field[Any, Any], *, whole: bool = False, wide: bool = False) -> Column:
    """Return a column with what a field has, spelled out where it could not be seen.

    ``wide`` gives a sentence room in a list.
    """

    def shown(row: Any) -> str:
        value = getattr(row, field.attname)
        found = "" if value is None else printable(str(value))
        if not whole and len(found) > LONGEST:
            found = f"{found[: LONGEST - 1]}…"
        return (roomy(found) if wide else found) if found else NOTHING

    return named(shown, field.verbose_name, ordering=field.name)


def block(field: models.Field[Any, Any]) -> Column:
    """Return a column with a text of several lines, such as SQL or JSON, as a block."""

    def shown(row: Any) -> str:
        found = getattr(row, field.attname)
        if not found:
            return NOTHING
        return code_block(found if isinstance(found, str) else as_json(found))

    return named(shown, field.verbose_name)


def sentence(field: models.Field[Any, Any], *, whole: bool = False) -> Column:
    """Return a column with a sentence that a check recorded."""
    plain = text(field, whole=whole)

    def shown(row: Any) -> str:
        told = english(plain(row))
        return told if whole else roomy(told)

    return named(shown, field.verbose_name, ordering=field.name)


def moment(field: models.Field[Any, Any]) -> Column:
    """Return a column with a time and its zone."""

    def shown(row: Any) -> str:
        found = getattr(row, field.attname)
        return NOTHING if found is None else time_of(found)

    return named(shown, field.verbose_name, ordering=field.name)


def level(field: models.Field[Any, Any]) -> Column:
    """Return a column with a level, which sorts by how bad it is."""
    words = [When(**{field.name: one.name}, then=int(one)) for one in Level]
    worst = Case(*words, default=0, output_field=models.IntegerField())
    return named(
        lambda row: level_of(getattr(row, field.attname)), field.verbose_name, ordering=worst
    )


def named(
    shown: Column, description: Words, *, ordering: str | models.Expression | None = None
) -> Column:
    """Give a column its heading, and say what to sort by."""
    column: Column = admin.display(description=description, ordering=ordering)(shown)
    return column


def time_of(found: dt.datetime) -> SafeString:
    """Return a time in the zone of whoever looks, which it names."""
    if timezone.is_naive(found):
        found = timezone.make_aware(found, timezone.get_default_timezone())
    local = timezone.localtime(found)
    told = f"{date_format(local, 'DATETIME_FORMAT')} {date_format(local, 'T')}"
    return format_html('<time datetime="{}">{}</time>', local.isoformat(), told)


def level_of(name: str) -> SafeString:
    """Return a level: a sign, its word and a colour."""
    return state(*LOOKS.get(name, ("quiet", "?")), word=printable(name))


def state(tone: str, sign: str, word: str) -> SafeString:
    """Return a sign and a word in a tone: good, warn, bad or quiet."""
    return format_html(
        '<span class="tops-state tops-{}"><span aria-hidden="true">{}</span> {}</span>',
        *(tone, sign, word),
    )


def counts_of(levels: Mapping[str, int]) -> str:
    """Return how many findings there are of each level, the worst first."""
    shown = [
        format_html("{} {}", level_of(level.name), levels[level.name])
        for level in sorted(Level, reverse=True)
        if levels.get(level.name)
    ]
    return format_html_join(" ", "{}", ((one,) for one in shown)) if shown else NOTHING


def roomy(told: str) -> SafeString:
    """Return a sentence with room in a list, which would leave it a word a line."""
    return format_html('<span class="tops-wide">{}</span>', told)


def english(told: str) -> str:
    """Return what is English for everybody, marked as such on a page in another language."""
    if told in ("", NOTHING) or (get_language() or "en").startswith("en"):
        return told
    return format_html('<span lang="en">{}</span>', told)


def link(address: str, told: str) -> str:
    """Return a link, or the plain text where there is no page to go to."""
    return format_html('<a href="{}">{}</a>', address, told) if address else told


def runbook_of(code: str, shipped: str) -> str:
    """Return the ID of a finding with a link to its page, or with the path of it.

    ``shipped`` is the address of the page that comes with trigger_ops.
    """
    address, short = (
        conf.own_runbook(code) or shipped,
        printable(code.removeprefix("trigger_ops.")),
    )
    if address.startswith(("https://", "http://", "/")):
        return link(address, short)
    return format_html("{} (<code>{}</code>)", short, printable(address)) if address else short


def code_block(found: str) -> SafeString:
    """Return lines of code as they are; what cannot be seen is spelled out."""
    return format_html('<pre tabindex="0"><code>{}</code></pre>', printable(found, keep="\n\t"))


def as_json(found: Any) -> str:
    """Return a document of the database as people read it."""
    return json.dumps(found, indent=2, ensure_ascii=False, sort_keys=True)


def value_of(row: Mapping[str, Any] | None, name: str) -> str:
    """Return one value of a recorded row; what is no text as JSON, and a dash for no value."""
    if row is None or name not in row:
        return NOTHING
    found = row[name]
    told = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    return printable(told) or _("(empty)")


def listed(found: Iterable[object]) -> str:
    """Return several things on one line."""
    return printable(", ".join(str(one) for one in found)) or NOTHING
