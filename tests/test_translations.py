"""The German catalogue: whole, compiled, careful with what is not ours, and kept out of commands."""

from __future__ import annotations

import gettext
import io
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import django
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.utils import translation

from tests.catalogue import GERMAN, PACKAGE, kept, read_catalogue
from trigger_ops.api.inspecting import known
from trigger_ops.durations import duration
from trigger_ops.exceptions import BadDuration, TriggerOpsError, UnknownDatabase, nearest
from trigger_ops.sessions.requests import stated_reason

HEADER, MESSAGES = read_catalogue(GERMAN)

VARYING = re.compile(
    r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)|"ms": \d+'
    r"|\b\d+(?:\.\d+)? m?s\b"
)
"""What is another from one run to the next."""

PRIVATE = re.compile(r"[\w.]+@[\w.]+|/(?:home|root|work|tmp|Users)/|https?://")


def compiled(path: Path) -> gettext.GNUTranslations:
    with path.open("rb") as file:
        return gettext.GNUTranslations(file)


# Whole -------------------------------------------------------------------------------------------


def test_the_catalogue_has_every_text_and_no_other(tmp_path: Path) -> None:
    if shutil.which("xgettext") is None:
        sentence = "GNU gettext is not installed, so that nobody can tell which texts there are."
        if os.environ.get("TRIGGER_OPS_CI") == "1":
            pytest.fail(sentence)
        pytest.skip(sentence)
    copy = tmp_path / "trigger_ops"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "locale"))
    (copy / "locale").mkdir()
    command = [sys.executable, "-W", "error", "-m", "django", "makemessages", "--locale", "de"]
    done = subprocess.run(
        command, cwd=copy, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    _header, extracted = read_catalogue(copy / GERMAN.relative_to(PACKAGE))
    assert len(extracted) > 600
    assert {one.key for one in MESSAGES} == {one.key for one in extracted}


def test_each_text_is_there_once() -> None:
    keys = [(one.context, one.text) for one in MESSAGES]
    assert len(keys) == len(set(keys))


def test_each_text_is_translated() -> None:
    assert [one.text for one in MESSAGES if one.is_fuzzy] == []
    assert [one.text for one in MESSAGES if not all(map(str.strip, one.translations))] == []
    assert {len(one.translations) for one in MESSAGES if one.plural} == {2}
    assert {len(one.translations) for one in MESSAGES if not one.plural} == {1}


def test_what_no_language_may_change_is_in_each_translation() -> None:
    pairs = [pair for one in MESSAGES for pair in one.pairs]
    assert [(text, told) for text, told in pairs if kept(text) != kept(told)] == []
    # What stands round a text goes on there: after "Lock:" comes a lock, round " or " two values.
    assert [(text, told) for text, told in pairs if edges(text) != edges(told)] == []


def edges(text: str) -> tuple[str, str]:
    """Return the space round a text, with a colon or an ellipsis before what is behind it."""
    return text[: -len(text.lstrip())], re.sub(r"^.*?([:…]?\s*)$", r"\1", text, flags=re.DOTALL)


def test_the_header_names_the_language_and_nobody() -> None:
    assert "\nLanguage: de\n" in HEADER
    assert "\nPlural-Forms: nplurals=2; plural=(n != 1);\n" in HEADER
    assert "charset=UTF-8" in HEADER
    assert not PRIVATE.search(GERMAN.read_text(encoding="utf-8"))


def test_what_is_compiled_is_the_catalogue() -> None:
    found = compiled(GERMAN.with_suffix(".mo"))
    for one in MESSAGES:
        if one.plural:
            told = tuple(found.ngettext(one.text, one.plural, number) for number in (1, 2))
        elif one.context:
            told = (found.pgettext(one.context, one.text),)
        else:
            told = (found.gettext(one.text),)
        assert told == one.translations, one.text
    size = sum(len(one.translations) for one in MESSAGES)
    assert len(found._catalog) == size + 1, "it has more than the catalogue and its header"  # type: ignore[attr-defined]  # gettext has no other way to count


# Careful -----------------------------------------------------------------------------------------


def test_what_django_translates_is_translated_alike() -> None:
    """An app's catalogue counts on every page of the site: ours must not reword the admin."""
    theirs = list(Path(django.__file__).parent.rglob("locale/de/LC_MESSAGES/django.mo"))
    assert len(theirs) > 10
    reworded = {}
    for path in theirs:
        found = compiled(path)
        for one in MESSAGES:
            told = found.gettext(one.text)
            if not (one.context or one.plural) and told not in (one.text, *one.translations):
                reworded[one.text] = told
    assert reworded == {}


def test_names_of_models_are_german() -> None:
    config = apps.get_app_config("trigger_ops")
    with translation.override("de"):
        assert str(config.verbose_name) == "Trigger-Betrieb"
        names = {str(one._meta.verbose_name_plural) for one in config.get_models()}
    assert {"Befunde", "Duldungen", "Protokolleinträge", "Prüfläufe", "Sitzungen"} <= names


# One language for commands, logs and records -----------------------------------------------------


def raised(make: Any, *arguments: Any) -> TriggerOpsError:
    with translation.override("de"), pytest.raises(TriggerOpsError) as caught:
        make(*arguments)
    return caught.value


@pytest.mark.parametrize(
    ("make", "argument", "kind", "english", "german"),
    [
        (duration, "soon", BadDuration, "is no duration: write", "„soon“ ist keine Dauer"),
        (stated_reason, "x", TriggerOpsError, "A session takes a", "Eine Sitzung braucht eine"),
        (
            known,
            "defualt",
            UnknownDatabase,
            'no alias "defualt": did you mean "default"?',
            "keinen Alias „defualt“: war „default“ gemeint?",
        ),
    ],
)
def test_an_error_is_english_until_a_page_tells_it(
    make: Any, argument: str, kind: type[TriggerOpsError], english: str, german: str
) -> None:
    error = raised(make, argument)
    # Between a worker and whoever waits for it, errors travel as pickles.
    for one in (error, pickle.loads(pickle.dumps(error))):
        assert isinstance(one, kind)
        with translation.override("de"):
            assert english in str(one)
            assert german in one.told()
        with translation.override("en"):
            assert one.told() == str(one)


def test_what_has_no_translation_is_told_as_it_is() -> None:
    with translation.override("de"):
        assert TriggerOpsError("100% of %(nothing)s").told() == "100% of %(nothing)s"
        assert TriggerOpsError("%(one)s!", one=nearest("x", [])).told() == "es gibt keine.!"
        assert TriggerOpsError("").told() == TriggerOpsError.__doc__


def printed(language: str, *arguments: str) -> tuple[int, str, str]:
    out, err, code = io.StringIO(), io.StringIO(), 0
    with translation.override(language):
        try:
            call_command("pgtrigger", *arguments, stdout=out, stderr=err)
        except CommandError as error:
            code = error.returncode
            err.write(str(error))
    return code, out.getvalue(), err.getvalue()


@pytest.mark.django_db(databases=["default", "archive"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("ls",),
        ("diff", "--format", "json"),
        ("check", "--format", "json"),
        ("plan", "past.Invoice:protect_deletes"),
        ("ls", "past.Invoyce"),
        ("disable", "past.Invoice:protect_deletes", "--for", "soon"),
        ("session", "show", "999"),
        ("guard", "acknowledge", "1", "--reason", "x"),
        ("allow", "add", "999", "--reason", "known since Monday", "--for", "1d"),
        ("allow", "expire", "999"),
    ],
    ids=" ".join,
)
def test_commands_say_the_same_in_every_language(arguments: tuple[str, ...]) -> None:
    german, english = printed("de", *arguments), printed("en", *arguments)
    assert [VARYING.sub("", str(one)) for one in german] == [
        VARYING.sub("", str(one)) for one in english
    ]
    assert "".join(german[1:])
