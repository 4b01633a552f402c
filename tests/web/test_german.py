"""The pages in German: what they say, and that no English of the catalogue is left on them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.urls import reverse
from django.utils import translation

from demo_site.past.models import Receipt
from tests.damage import gut, pgid
from tests.drift.making import make_finding
from tests.management.sessions import demand_approval
from tests.sessions.conftest import (
    CUSTOMER,
    INVOICE,
    REASON,
    RECEIPT,
    default_at,
    guarded,
    guarded_template,
    make_database,
    migrated_database,
    own_database,
)
from tests.web.recorded import address, entry, look, ran
from tests.web.spoken import ENGLISH, Reader, spoken
from trigger_ops import api
from trigger_ops.models import Allowance, Change, DriftFinding, DriftRun, LedgerEntry, Session
from trigger_ops.web import evidence, freshness
from trigger_ops.web.people import actor_of_user

__all__ = [
    "default_at",
    "guarded",
    "guarded_template",
    "make_database",
    "migrated_database",
    "own_database",
]

recorded = pytest.mark.django_db(databases=["default", "archive"])


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    evidence.forget()
    freshness.forget()
    yield
    evidence.forget()
    freshness.forget()
    # A request leaves its language with the thread that it ran in.
    translation.deactivate()


def key(uri: str) -> str:
    return f'["{uri}","default","public"]'


def hidden(markup: str, form: str) -> dict[str, str]:
    """Return what the hidden fields of a form hold."""
    inside = markup[markup.index(f'class="{form}"') :].partition("</form>")[0]
    found = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', inside)
    return {name: html.unescape(value) for name, value in found}


def test_what_is_looked_for_would_be_found() -> None:
    assert "Nothing is changed before you confirm it on the next page." in ENGLISH
    assert len(ENGLISH) > 300
    page = '<html lang="de"><p title="What differs">Ja</p><code>Ask for a session</code>'
    page += '<p lang="en">Changed rows</p><br><img alt="Where it is"> <b>Nein</b>'
    assert spoken(page) == ("de", "What differs Ja Where it is Nein")


# Triggers ----------------------------------------------------------------------------------------


@recorded
def test_the_list_of_triggers() -> None:
    ann, page = Reader(), address("trigger_changelist")
    ann.reads(page, "✔ Alle 60 Trigger sind wie registriert", "Eingrenzen", "Zum Beispiel:")
    gut(pgid(INVOICE))
    ann.reads(
        page,
        "1 Trigger braucht Aufmerksamkeit: 1 TAMPERED",
        "Installieren… Aktivieren… Deaktivieren… Bereinigen… Deinstallieren… Weiter",
        "Auswahl Status Aktivierung Trigger Tabelle Datenbank Schema Art Abweichend in",
        "1 bis 50 von 120, gelesen vor",
        look="again",
    )
    told = "1 von 120 Triggern, eingegrenzt auf: App = past und Status = TAMPERED und Name enthält"
    ann.reads(page, told, app="past", q="state:tampered invoice")
    ann.reads(page, "„stat:“ ist kein Suchbegriff: war „state“ gemeint?", q="stat:x")
    ann.reads(
        page, "Es gibt kein Format „jsn“", "Zurück zu den Triggern", status=400, format="jsn"
    )


@recorded
def test_one_trigger() -> None:
    gut(pgid(INVOICE))
    look(make_finding())
    ann, page = Reader(), address("trigger_detail", uri=INVOICE)
    ann.reads(
        page,
        "✖ TAMPERED ✔ ENABLED Er wurde in der Datenbank manipuliert",
        "Was nicht stimmt und was zu tun ist",
        "Installieren… für Deaktivieren… Deinstallieren…",
        "Was er schützt",
        "Er weist DELETE zurück.",
        "Was abweicht Nebeneinander · Untereinander",
        "Was eine Reparatur tun würde Sperre: NONE (nichts wartet)",
        "Merkmal Registriert Installiert Vergleich Auslösezeitpunkt ✔ gleich",
        "Verlauf Was von hier aus geändert wurde Von hier aus wurde er nicht geändert.",
    )
    ann.reads(page, "Registriert (\N{MINUS SIGN}) und installiert (+)", view="unified")
    calm = address("trigger_detail", uri=RECEIPT)
    ann.reads(calm, "Kein Befund: Es ist nichts zu tun.", "so, wie der Code es vorgibt.")
    gone = address("trigger_detail", uri="past.Recept:append_only")
    ann.reads(gone, "Dies kann nicht angezeigt werden", f"war „{RECEIPT}“ gemeint?", status=404)


@recorded
def test_what_is_english_for_everybody_is_marked_as_such_on_a_page_that_is_not() -> None:
    gut(pgid(INVOICE))
    look(make_finding(message="It <b>differs</b>."))
    page = address("trigger_detail", uri=INVOICE)
    row = address("driftfinding_change", object_id=DriftFinding.objects.get().pk)
    ann = Reader()
    marked = '<span lang="en">It &lt;b&gt;differs&lt;/b&gt;.</span>'
    assert marked in ann.reads(page)
    assert marked in ann.reads(row)
    assert marked in ann.reads(address("driftfinding_changelist"))
    english = ann.client.get(row, headers={"accept-language": "en-GB"}).content.decode()
    assert "It &lt;b&gt;differs&lt;/b&gt;." in english
    assert '<span lang="en">' not in english


@recorded
def test_what_somebody_may_not_see() -> None:
    Reader("bob", may=False).reads(
        address("trigger_changelist"),
        *("Nicht erlaubt", "Dafür ist die Berechtigung", "sie vergibt die Benutzerverwaltung."),
        status=403,
    )


def test_an_action_is_confirmed_refused_and_carried_out(own_database: BaseDatabaseWrapper) -> None:
    gut(pgid(INVOICE))
    ann, confirm, run = Reader(), address("action_confirm"), address("action_run")
    ann.reads(confirm, "Es wurde nichts getan: in der Liste Trigger auswählen", status=405)
    ann.sends(confirm, "Es ist kein Trigger ausgewählt", status=404, action="install")
    ann.sends(
        confirm,
        "Bestätigen: disable",
        "Sperre: SHARE ROW EXCLUSIVE auf past_receipt (Schreibzugriffe warten, Lesezugriffe nicht)",
        "Zur Bestätigung append_only eingeben",
        "Ja, disable Nein, zurück zu den Triggern",
        action="disable",
        chosen=key(RECEIPT),
    )
    ann.sends(confirm, "Es ist nichts zu tun", action="install", chosen=key(RECEIPT))
    form = hidden(ann.sends(confirm, action="install", chosen=key(INVOICE)), "tops-confirm")
    ann.sends(run, "Eine Aktion braucht eine Begründung aus mindestens", status=400, **form)
    form = hidden(ann.sends(confirm, action="install", chosen=key(INVOICE)), "tops-confirm")
    ann.sends(
        run,
        "Was getan wurde",
        "Wann Datenbank Trigger Was Vorher und nachher",
        **{**form, "reason": REASON},
    )
    ann.sends(run, "wurde schon einmal gesendet", status=409, **{**form, "reason": REASON})


# Sessions ----------------------------------------------------------------------------------------


def test_a_session_from_the_form_to_its_end(guarded: BaseDatabaseWrapper) -> None:
    ann, ask = Reader(), address("session_ask")
    page = ann.reads(
        ask,
        "Sitzung anfordern",
        "Trigger, die ausgesetzt werden sollen",
        "Was nötig ist",
        "Wie lange",
    )
    ann.sends(ask, "„soon“ ist keine Dauer", "Mindestens einen Trigger auswählen", duration="soon")
    form = {**hidden(page, "tops-ask"), "triggers": RECEIPT, "reason": REASON, "duration": "15m"}
    ann.sends(
        ask,
        *("Ausnahmesitzung Sitzung", "ist aktiv. Noch 14 Minuten, bis", "ist geöffnet."),
        "Länger um Verlängern Jetzt beenden Grund des Widerrufs Widerrufen",
        "Bericht ✔ Bisher einwandfrei 0 Zeilen aufgezeichnet.",
        "noch LEFT",
        **form,
    )
    number = Session.objects.get().pk
    with api.session(id=number, actor=actor_of_user(ann.user)):
        Receipt.objects.create(number="A1")
        Receipt.objects.update(number="A2")
    detail = address("session_detail", session=number)
    ann.reads(detail, "2 Zeilen, wie sie waren und wie sie sind", "Zeitlicher Ablauf")
    file = address("session_csv", session=number)
    german = ann.client.get(file)
    english = ann.client.get(file, headers={"accept-language": "en"})
    assert list(german.streaming_content) == list(english.streaming_content)
    ann.sends(address("session_extend", session=number), "Angeben, wie viel länger", status=400)
    ann.sends(
        address("session_extend", session=number),
        f"Sitzung {number} dauert jetzt bis",
        longer="5m",
    )
    ann.sends(
        address("session_end", session=number), f"Sitzung {number} ist beendet: Ihre Trigger sind"
    )
    ann.sends(
        address("session_end", session=number),
        f"Sitzung {number} ist bereits beendet.",
        status=409,
    )
    ann.reads(
        address("session_detail", session=number + 8),
        f"gibt es keine Sitzung {number + 8}",
        status=404,
    )
    ann.reads(ask, "„lite“ ist keine PostgreSQL-Datenbank", database="lite")


def test_the_list_of_sessions_and_a_review(guarded: BaseDatabaseWrapper) -> None:
    ann, page = Reader(), address("session_changelist")
    ann.reads(page, "Keine Sitzung ist aktiv: Alle Trigger sind in Kraft.", "Nichts wartet auf")
    api.open_session(RECEIPT, reason=REASON)
    demand_approval()
    one = api.open_session(CUSTOMER, reason=REASON)
    own = api.open_session(CUSTOMER, reason=REASON, actor=actor_of_user(ann.user))
    ann.reads(
        page,
        "Ausnahmesitzungen",
        "Suchen Zustand alle wartet auf Freigabe aktiv beendet widerrufen abgelehnt abgelaufen",
        "1 Sitzung ist aktiv: Ihre Trigger sind ausgesetzt für alle, die darin arbeiten.",
        f"Bemerkung zu Sitzung {one.id} Freigeben Ablehnen",
        "Sie haben sie angefordert: Begutachtet wird sie von jemand anderem.",
    )
    ann.sends(
        address("session_review", session=own.id),
        *("Niemand begutachtet die eigene Anforderung.", "Anforderung zurückziehen"),
        status=409,
        verdict="approve",
    )
    review = address("session_review", session=one.id)
    ann.sends(review, f"Sitzung {one.id} ist abgelehnt.", "✖ abgelehnt", verdict="deny")
    revoke = address("session_revoke", session=own.id)
    ann.sends(revoke, "Ein Widerruf braucht eine Begründung", status=400)
    ann.sends(revoke, f"Sitzung {own.id} ist widerrufen.", reason="stop")


# What was recorded -------------------------------------------------------------------------------


@recorded
def test_findings_and_checks() -> None:
    look(make_finding())
    ran(DriftRun.objects.get().finished, levels={"default": {"CRITICAL": 1}, "archive": {}})
    ann, number = Reader(), DriftFinding.objects.get().pk
    ann.reads(
        address("driftfinding_changelist"),
        "ID Stufe Stand Meldung URI Datenbank",
        "C001 ✖ CRITICAL ▲ offen",
        "Wer von Befunden erfährt Drift der letzten 30 Tage",
    )
    ann.reads(
        address("driftfinding_change", object_id=number),
        *("Für eine Weile dulden", "Was damit geschah", "Niemand steht dafür ein."),
    )
    ann.reads(address("destinations"), "Niemand wird benachrichtigt", "kein Heartbeat gesendet")
    ann.reads(
        address("drift_history"),
        "Drift der letzten 30 Tage Jetzt offen: ✖ CRITICAL 1 · anzeigen Tag für Tag",
        "Der schwerste Befund jedes Tages Ein Quadrat je Tag, das neueste zuletzt: CRITICAL an 1 Tag;",
        "Befunde nach Stufe am Ende jedes Tages Höchststand 1 am",
        "Tag Schwerster Prüfungen DB nicht gelesen CRITICAL",
    )
    ann.reads(address("driftrun_changelist"), "Ergebnis Befunde nach Stufe Datenbanken Quelle")
    run = DriftRun.objects.filter(targets__database="archive").get()
    ann.reads(address("driftrun_change", object_id=run.pk), "Was sich für jede Datenbank ergab")


@recorded
def test_allowances() -> None:
    look(make_finding())
    ann, add = Reader(), address("allowance_add")
    number = DriftFinding.objects.get().pk
    ann.reads(add, "Einen Befund dulden", "Befund:", "Begründung:", "Dauer:", "Dulden Zurück")
    told = "Eine Duldung braucht eine Begründung aus mindestens"
    ann.sends(add, told, "Noch wurde nichts geduldet", status=422, **allowed(number, reason="x"))
    ann.sends(add, "Der Befund ist bis zum unten genannten Zeitpunkt geduldet", **allowed(number))
    ann.reads(add, "Es gibt keinen offenen Befund, für den niemand einsteht.")
    chosen = Allowance.objects.get().pk
    page = address("allowance_change", object_id=chosen)
    ann.reads(page, "Diese Duldung jetzt beenden", "Stand: ✔ gültig", "wie er geduldet wurde")
    ended = {"action": "expire", "index": "0", "_selected_action": str(chosen)}
    ann.sends(address("allowance_changelist"), "1 Duldung wurde beendet: Die nächste", **ended)


def allowed(number: int, *, reason: str = REASON) -> dict[str, str]:
    return {"finding": str(number), "reason": reason, "lasts": "1d"}


@recorded
def test_the_ledger_and_changed_rows() -> None:
    entry(uri=INVOICE, before={"body": "a"}, after={"body": "b"}, database="default")
    row = {"schema": "public", "table": "past_invoice", "op": "INSERT", "new": {"id": 1}}
    Change.objects.create(transaction=7, number=1, cause="ignore", **row)
    ann, ledger = Reader(), address("ledgerentry_changelist")
    ann.reads(
        ledger,
        "Gelesen aus der Datenbank „default“.",
        "Zeitpunkt Art Verb URI Tabelle Akteur Begründung Ergebnis",
    )
    ann.reads(ledger, "Es gibt keine PostgreSQL-Datenbank „nope“", status=404, using="nope")
    page = address("ledgerentry_change", object_id=LedgerEntry.objects.get().pk)
    ann.reads(page, "Alle Einträge dieses Laufs", "Merkmale des Triggers vor und nach der")
    ann.reads(address("change_changelist"), "Zeitpunkt Operation Schema Tabelle Ursache Sitzung")
    page = address("change_change", object_id=Change.objects.get().pk)
    ann.reads(page, "Spalte Alt Neu Vergleich id", "hinzugefügt")
    ann.reads(reverse("admin:index"), "Trigger-Betrieb", "Befunde Ansehen Duldungen Hinzufügen")
