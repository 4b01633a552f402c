"""What a page says in its own language, to the eye and to the ear, and who reads it in German."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client

from tests.catalogue import GERMAN, pieces, read_catalogue
from tests.web.once import nonce

ENGLISH = pieces(read_catalogue(GERMAN)[1])
"""What no page in German may say."""

_VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta", "rect", "line"})
_NO_LANGUAGE = frozenset({"code", "pre", "script", "style"})
_SAID = ("alt", "aria-label", "placeholder", "title", "data-tops-words", "data-tops-over")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.language = ""
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag == "html":
            self.language = given.get("lang") or ""
        foreign = tag in _NO_LANGUAGE or given.get("lang") == "en" or self._is_foreign
        if not foreign:
            self.found += [given[name] or "" for name in _SAID if name in given]
        if tag not in _VOID:
            self._open.append((tag, foreign))

    def handle_endtag(self, tag: str) -> None:
        while tag in (name for name, _ in self._open) and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not self._is_foreign:
            self.found.append(data)

    @property
    def _is_foreign(self) -> bool:
        return bool(self._open) and self._open[-1][1]


def spoken(markup: str) -> tuple[str, str]:
    """Return the language that a page claims, and all that it says in it, on one line.

    Left out is what is marked as English, and code, which has no language.
    """
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    return reader.language, on_one_line(" ".join(reader.found))


def on_one_line(text: str) -> str:
    """Return a text with one blank where there is any space."""
    return re.sub(r"\s+", " ", text).strip()


class Reader:
    """Somebody who reads German, and may see and do everything unless it is said."""

    def __init__(self, name: str = "ann", *, may: bool = True) -> None:
        make = User.objects.create_superuser if may else User.objects.create_user
        self.user = make(name, is_staff=True)
        self.client = Client(headers={"accept-language": "de-AT,de;q=0.9,en;q=0.5"})
        self.client.force_login(self.user)

    def reads(self, page: str, *sentences: str, status: int = 200, **query: str) -> str:
        """Open a page, and see that it is German."""
        return self.understands(self.client.get(page, query), *sentences, status=status)

    def sends(self, page: str, *sentences: str, status: int = 200, **fields: str) -> str:
        """Send a form, follow where it leads, and see that this is German."""
        sent = {"nonce": nonce(self.client), **fields}
        response = self.client.post(page, sent, follow=True)
        return self.understands(response, *sentences, status=status)

    def understands(self, response: HttpResponse, *sentences: str, status: int) -> str:
        """See that a page is German, and says these; return its markup."""
        markup = response.content.decode()
        language, said = spoken(markup)
        assert (response.status_code, language) == (status, "de"), said
        left = [one for one in ENGLISH if re.search(rf"(?<!\w){re.escape(one)}(?!\w)", said)]
        assert not left, left
        lacking = [one for one in sentences if one not in said]
        assert not lacking, (lacking, said)
        return markup
