"""The admin mixins: what stock Django does when a trigger refuses, and what ours does instead."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import Any

import pgtrigger
import pytest
from django import forms
from django.contrib.admin import AdminSite, ModelAdmin, TabularInline
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, IntegrityError, connection, models, transaction
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.test.utils import isolate_apps
from django.urls import path

from demo_site.awkward.models import ArchivedDocument, OrderLine, Posting
from demo_site.past.models import Customer, Invoice, Receipt
from demo_site.tutorial.models import OldIntOnDelete, Shelf, StockMove, Warehouse
from tests.damage import pgid, run
from tests.sessions.test_testing import guard
from tests.site import ROOT
from trigger_ops import api
from trigger_ops.testing import sessions_in_tests
from trigger_ops.web.protected import ProtectedAdminMixin, ProtectedInlineMixin
from trigger_ops.web.refusing import refusing_deletes, sentence_of

pytestmark = [
    pytest.mark.django_db(databases=["default", "archive"]),
    pytest.mark.urls("tests.web.test_protected"),
]

DATABASES = ["default", "archive"]
EMAIL, INVOICE, KEPT, MOVES = (
    "past.Customer:read_only_email",
    "past.Invoice:protect_deletes",
    "tutorial.OldIntOnDelete:protect",
    "tutorial.StockMove:protect_closed_warehouse",
)


class Moves(TabularInline):
    model = StockMove
    extra = 0


class KeptMoves(ProtectedInlineMixin, Moves):
    pass


def touch(admin: Any, request: HttpRequest, queryset: Any) -> None:
    """Rename all, one by one."""
    for number, row in enumerate(queryset.order_by("pk")):
        row.email = row.email if number == 0 else "changed@example.org"
        row.name = f"touched {row.name}"
        row.save()


class WithFile(forms.ModelForm):
    """A form that reads a file when it is checked."""

    file = forms.FileField(required=False)

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file and not file.read():
            raise forms.ValidationError("There is nothing in it")
        return file


def registered_on(name: str, *mixins: type, inline: type) -> AdminSite:
    """Return a site in which every model has the same admin, with these mixins or none."""
    site = AdminSite(name)

    def add(model: type[models.Model], **options: Any) -> None:
        bases = (*mixins, ModelAdmin)
        site.register(model, type(f"{model.__name__}Admin", bases, options))  # type: ignore[arg-type]  # a class made here

    for model in (Invoice, Receipt, OldIntOnDelete, ArchivedDocument, OrderLine, StockMove):
        add(model)
    add(Posting, list_display=["pk", "amount"], list_editable=["amount"])
    add(
        Customer,
        list_display=["pk", "name", "email"],
        list_editable=["name", "email"],
        actions=[touch],
        form=WithFile,
    )
    add(Shelf, inlines=[inline])
    add(Warehouse)
    return site


class CertainOfDeletes(ProtectedAdminMixin, ModelAdmin):
    """Offers deletes that a trigger refuses, and forms that are not the mixin's."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def get_form(self, request: HttpRequest, obj: Any = None, *_: Any, **__: Any) -> Any:
        return forms.modelform_factory(self.model, fields="__all__")


stock = registered_on("stock", inline=Moves)
ours = registered_on("ours", ProtectedAdminMixin, inline=KeptMoves)
certain = AdminSite("certain")
certain.register([ArchivedDocument, Customer], CertainOfDeletes)

urlpatterns = [path(f"{site.name}/", site.urls) for site in (stock, ours, certain)]


@pytest.fixture
def client(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann", password="x"))
    client.raise_request_exception = False
    return client


def text_of(response: HttpResponse) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


# What is refused ----------------------------------------------------------------------------------


def customer() -> Customer:
    return Customer.objects.create(name="Falk", email="falk@example.org")


def kept() -> models.Model:
    row: models.Model = OldIntOnDelete.objects.create(int_field=1)
    return row


def change(client: Client, site: str) -> HttpResponse:
    row = customer()
    return post(client, f"/{site}/past/customer/{row.pk}/change/", name="F", email="f@example.org")


def add(client: Client, site: str) -> HttpResponse:
    warehouse = Warehouse.objects.create()
    shelf = Shelf.objects.create(warehouse=warehouse)
    Warehouse.objects.update(closed=True)
    return post(
        client,
        f"/{site}/tutorial/shelf/{shelf.pk}/change/",
        warehouse=warehouse.pk,
        **{
            "stockmove_set-TOTAL_FORMS": 1,
            "stockmove_set-INITIAL_FORMS": 0,
            "stockmove_set-0-shelf": shelf.pk,
            "stockmove_set-0-quantity": 17,
        },
    )


def edit_in_list(client: Client, site: str) -> HttpResponse:
    first, second = customer(), customer()
    return post(
        client,
        f"/{site}/past/customer/?o=1",
        _save="Save",
        **{
            "form-TOTAL_FORMS": 2,
            "form-INITIAL_FORMS": 2,
            "form-0-id": first.pk,
            "form-0-name": "F",
            "form-0-email": first.email,
            "form-1-id": second.pk,
            "form-1-name": "F",
            "form-1-email": "f@example.org",
        },
    )


def delete(client: Client, site: str) -> HttpResponse:
    return post(client, f"/{site}/tutorial/oldintondelete/{kept().pk}/delete/", post="yes")


def delete_selected(client: Client, site: str) -> HttpResponse:
    chosen = [kept().pk, kept().pk]
    return post(
        client,
        f"/{site}/tutorial/oldintondelete/",
        action="delete_selected",
        post="yes",
        _selected_action=chosen,
    )


def post(client: Client, url: str, **data: Any) -> HttpResponse:
    response: HttpResponse = client.post(url, data, follow=True)
    return response


def rows() -> list[Any]:
    return [
        list(model.objects.order_by("pk").values())  # type: ignore[attr-defined]  # every model of ours has it
        for model in (Customer, StockMove, OldIntOnDelete)
    ]


CASES: dict[str, tuple[Callable[[Client, str], HttpResponse], str]] = {
    "change": (change, f"{EMAIL} refuses this: Cannot update rows from past_customer table."),
    "inline": (
        add,
        f"{MOVES} refuses this: Shelf 1 is in a closed warehouse.",
    ),
    "list_editable": (
        edit_in_list,
        f"{EMAIL} refuses this: Cannot update rows from past_customer table.",
    ),
    "delete": (
        delete,
        f"{KEPT} refuses this: Cannot delete rows from tutorial_oldintondelete table.",
    ),
    "delete_selected": (
        delete_selected,
        f"{KEPT} refuses this: Cannot delete rows from tutorial_oldintondelete table.",
    ),
}
every_case = pytest.mark.parametrize("case", CASES)


@every_case
def test_stock_django_answers_with_500(case: str, client: Client) -> None:
    act, _ = CASES[case]
    with transaction.atomic():
        assert act(client, "stock").status_code == 500
        transaction.set_rollback(True)


@every_case
def test_ours_says_what_refused_and_keeps_nothing(case: str, client: Client) -> None:
    act, sentence = CASES[case]
    response = act(client, "ours")
    assert response.status_code == 200
    said = re.sub(r"Shelf \d+", "Shelf 1", text_of(response))
    nothing = "Nothing was deleted." if "delete" in case else "Nothing was saved."
    assert said.count(f"{sentence} {nothing}") == 1
    assert "successfully" not in said
    assert not LogEntry.objects.exists()
    customers, moves, keeps = rows()
    assert [(one["name"], one["email"]) for one in customers] in (
        [],
        [("Falk", "falk@example.org")] * len(customers),
    )
    assert moves == []
    assert len(keeps) == case.count("delete") + case.count("selected")


def test_a_form_keeps_what_was_typed_beside_the_message(client: Client) -> None:
    page = change(client, "ours").content.decode()
    assert 'value="f@example.org"' in page
    assert page.index("errornote") < page.index("refuses this") < page.index('name="email"')
    assert 'name="stockmove_set-0-quantity" value="17"' in add(client, "ours").content.decode()


def test_in_a_list_the_message_stands_at_the_row_it_is_about(client: Client) -> None:
    response = edit_in_list(client, "ours")
    first, second = response.context["cl"].formset.forms
    assert not first.errors
    assert EMAIL in str(second.non_field_errors())
    page = response.content.decode()
    assert page.index('name="form-0-name"') < page.index("refuses this")
    assert page.count('value="f@example.org"') == 1


@every_case
def test_what_no_trigger_refuses_is_done(case: str, client: Client) -> None:
    act, _ = CASES[case]
    for uri in (EMAIL, MOVES, KEPT):
        ((model, trigger),) = pgtrigger.registered(uri)
        trigger.uninstall(model)
    response = act(client, "ours")
    assert response.status_code == 200
    assert "successfully" in text_of(response).lower()
    assert LogEntry.objects.count() == {"list_editable": 2, "delete_selected": 2}.get(case, 1)


@pytest.mark.django_db(transaction=True, databases=DATABASES)
def test_the_log_of_stock_django_claims_deletions_that_did_not_happen(client: Client) -> None:
    assert delete_selected(client, "stock").status_code == 500
    assert LogEntry.objects.count() == OldIntOnDelete.objects.count() == 2
    LogEntry.objects.all().delete()
    assert delete_selected(client, "ours").status_code == 200
    assert OldIntOnDelete.objects.count() == 4
    assert not LogEntry.objects.exists()


@pytest.mark.django_db(transaction=True, databases=DATABASES)
def test_the_log_is_true_where_it_is_in_another_database(client: Client, settings: Any) -> None:
    settings.TRIGGER_OPS = {"ENABLED": {"awkward": "disabled"}}  # which it is not
    row = ArchivedDocument.objects.create(title="Report")
    for site, status, claims in (("stock", 500, 1), ("certain", 200, 0)):
        response = post(client, f"/{site}/awkward/archiveddocument/{row.pk}/delete/", post="yes")
        assert response.status_code == status
        assert LogEntry.objects.count() == claims
        LogEntry.objects.all().delete()
    assert "awkward.ArchivedDocument:append_only refuses this" in text_of(response)
    assert ArchivedDocument.objects.filter(pk=row.pk).exists()


@pytest.mark.django_db(transaction=True, databases=DATABASES)
@pytest.mark.parametrize("atomic", [False, True])
def test_a_trigger_that_waits_for_the_commit_is_heard_before_success_is_claimed(
    atomic: bool, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic)
    response = post(client, "/ours/awkward/posting/add/", booking=1, amount=5)
    assert response.status_code == 200
    said = text_of(response)
    assert "awkward.Posting:check_balance refuses this: Booking 1 is not balanced. Nothing" in said
    assert "successfully" not in said
    assert not Posting.objects.exists()
    assert not LogEntry.objects.exists()
    assert post(client, "/stock/awkward/posting/add/", booking=1, amount=5).status_code == 500
    assert "was added successfully" in text_of(client.get("/stock/"))


@pytest.mark.django_db(transaction=True, databases=DATABASES)
@pytest.mark.parametrize("atomic", [False, True])
def test_an_action_of_ones_own_stops_at_a_refusal(
    atomic: bool, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic)
    chosen = [customer().pk, customer().pk]
    for site, status in (("stock", 500), ("ours", 200)):
        url = f"/{site}/past/customer/"
        response = post(client, url, action="touch", index=0, _selected_action=chosen)
        assert response.status_code == status
    assert f"{EMAIL} refuses this" in (said := text_of(response))
    assert "The action stopped there." in said
    names = Customer.objects.order_by("pk").values_list("name", flat=True)
    # Without a transaction around it, an action keeps what it did before, as it ever did.
    assert list(names) == (["Falk", "Falk"] if atomic else ["touched touched Falk", "Falk"])


@pytest.mark.django_db(transaction=True, databases=DATABASES)
def test_a_popup_claims_no_success_either(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    response = post(client, "/ours/awkward/posting/add/", booking=1, amount=5, _popup=1)
    assert "awkward.Posting:check_balance refuses this" in text_of(response)
    assert not Posting.objects.exists()


def test_a_row_is_not_blamed_for_what_a_trigger_says_of_all_of_them(client: Client) -> None:
    first, second = (Posting.objects.create(booking=1, amount=amount) for amount in (5, -5))
    response = post(
        client,
        "/ours/awkward/posting/?o=1",
        _save="Save",
        **{
            "form-TOTAL_FORMS": 2,
            "form-INITIAL_FORMS": 2,
            "form-0-id": first.pk,
            "form-0-amount": 7,
            "form-1-id": second.pk,
            "form-1-amount": -8,
        },
    )
    formset = response.context["cl"].formset
    assert "awkward.Posting:check_balance refuses this" in str(formset.non_form_errors())
    assert not any(form.errors for form in formset.forms)
    assert text_of(response).count("refuses this") == 1


def test_an_action_leaves_a_transaction_around_it_usable(client: Client) -> None:
    chosen = [customer().pk, customer().pk]
    response = post(client, "/ours/past/customer/", action="touch", _selected_action=chosen)
    assert f"{EMAIL} refuses this" in text_of(response)
    assert set(Customer.objects.values_list("name", flat=True)) == {"Falk"}


def test_a_form_that_is_not_ours_sends_back_to_itself_with_the_message(client: Client) -> None:
    response = change(client, "certain")
    assert response.redirect_chain == [(response.request["PATH_INFO"], 302)]  # type: ignore[attr-defined]  # the client adds it with follow
    assert f"{EMAIL} refuses this" in text_of(response)


def test_a_file_that_was_sent_is_read_again_from_its_beginning(client: Client) -> None:
    row = customer()
    url = f"/ours/past/customer/{row.pk}/change/"
    for content, wrong in ((b"text", False), (b"", True)):
        sent = SimpleUploadedFile("a.txt", content)
        said = text_of(post(client, url, name="F", email="f@example.org", file=sent))
        assert ("The submitted file is empty" in said) is wrong
        assert (f"{EMAIL} refuses this" in said) is not wrong
        assert "There is nothing in it" not in said


# What is not --------------------------------------------------------------------------------------

CHECK = "ALTER TABLE past_customer ADD CONSTRAINT no_f CHECK (name <> 'F')"
FOREIGN = """
CREATE FUNCTION pg_temp.no() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'pgtriggers are not asked'; END $$;
CREATE TRIGGER no BEFORE UPDATE ON past_customer FOR EACH ROW EXECUTE FUNCTION pg_temp.no()
"""


@pytest.mark.parametrize(("damage", "error"), [(CHECK, IntegrityError), (FOREIGN, DatabaseError)])
def test_other_errors_of_the_database_rise(
    damage: str, error: type[Exception], client: Client
) -> None:
    run(damage)
    client.raise_request_exception = True
    row = customer()
    with pytest.raises(error), transaction.atomic():
        client.post(f"/ours/past/customer/{row.pk}/change/", {"name": "F", "email": row.email})
    assert row.email == Customer.objects.get().email


def raised(statement: str) -> DatabaseError:
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        run(statement)
    return caught.value


OVER = """
DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '42501', DETAIL = 'TO002',
    MESSAGE = 'trigger_ops: session 12 is expired: open another one.'; END $$
"""


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (OVER, "The database refuses this: session 12 is expired: open another one."),
        ("DO $$ BEGIN RAISE EXCEPTION 'pgtrigger: No.'; END $$", "A trigger refuses this: No."),
        ("DO $$ BEGIN RAISE EXCEPTION 'No.'; END $$", None),
        ("SELECT 1 / 0", None),
    ],
)
def test_a_refusal_is_told_from_any_other_error(statement: str, sentence: str | None) -> None:
    error = raised(statement)
    assert sentence_of(error) == sentence
    assert error.__cause__ is not None
    assert sentence_of(error.__cause__) == sentence


@pytest.mark.parametrize("message", ["Not on Sundays", "<b>not</b> \x1b[2J on Sundays"])
def test_the_words_of_a_trigger_of_ones_own_are_shown_as_text(
    message: str, client: Client
) -> None:
    """It is raised by a function that pgtrigger made, without pgtrigger's word before it."""
    run(
        "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{message}'; END $$",
        name=pgid(EMAIL),
    )
    page = change(client, "ours").content.decode()
    shown = html.escape(message).replace("\x1b", "\\x1b")
    assert f"The trigger {EMAIL} refuses this: {shown}. Nothing was saved." in page


def test_drivers_give_a_refusal_different_classes() -> None:
    """Which is why none of this asks for a class."""
    error = raised("DO $$ BEGIN RAISE EXCEPTION 'pgtrigger: No.'; END $$")
    assert type(error).__name__ == ("ProgrammingError" if is_psycopg3 else "InternalError")


# Deletes that are not offered ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "uris"),
    [
        (Invoice, [INVOICE]),
        (Receipt, ["past.Receipt:append_only"]),
        (ArchivedDocument, ["awkward.ArchivedDocument:append_only"]),
        (Customer, []),
        (OldIntOnDelete, []),
        (StockMove, []),
    ],
)
def test_a_delete_is_refused_for_certain_where_its_protection_has_no_condition(
    model: type[models.Model], uris: list[str]
) -> None:
    assert refusing_deletes(model) == uris


@isolate_apps("demo_site.past")
def test_the_protection_of_a_parent_protects_its_children_and_its_proxies() -> None:
    class Reminder(Invoice):
        parent = models.OneToOneField(
            Invoice, models.CASCADE, parent_link=True, related_name="+", primary_key=True
        )

        class Meta:
            app_label = "past"

    class Draft(Invoice):
        class Meta:
            proxy = True
            app_label = "past"

    assert refusing_deletes(Reminder) == refusing_deletes(Draft) == [INVOICE]


@pytest.mark.parametrize(
    ("mode", "refused"),
    [
        ("disabled", False),
        ("replica", False),
        ("enabled", True),
        ("always", True),
        ("no such mode", True),
    ],
)
def test_what_is_declared_to_be_off_refuses_nothing(
    mode: str, refused: bool, settings: Any
) -> None:
    settings.TRIGGER_OPS = {"ENABLED": {"past": "enabled", "past.Invoice": mode}}
    assert bool(refusing_deletes(Invoice)) is refused


def test_in_a_session_that_holds_the_trigger_off_a_delete_is_offered() -> None:
    guard()
    with sessions_in_tests(), api.session(INVOICE, reason="counted twice in March"):
        assert refusing_deletes(Invoice) == []
        assert refusing_deletes(Receipt)
    assert refusing_deletes(Invoice)


@pytest.mark.parametrize(("site", "offered"), [("stock", True), ("ours", False)])
def test_no_page_offers_a_delete_that_a_trigger_refuses(
    site: str, offered: bool, client: Client
) -> None:
    row = Invoice.objects.create(number="1", total=1)
    url = f"/{site}/past/invoice/"
    assert ("deletelink" in client.get(f"{url}{row.pk}/change/").content.decode()) is offered
    assert ('value="delete_selected"' in client.get(url).content.decode()) is offered
    assert client.get(f"{url}{row.pk}/delete/").status_code == (200 if offered else 403)
    if not offered:
        assert client.post(f"{url}{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_delete_is_offered_where_it_may_be_possible(client: Client) -> None:
    row = customer()
    page = client.get(f"/ours/past/customer/{row.pk}/change/").content.decode()
    assert "deletelink" in page
    assert post(client, f"/ours/past/customer/{row.pk}/delete/", post="yes").status_code == 200
    assert not Customer.objects.exists()
    assert LogEntry.objects.count() == 1


@pytest.fixture
def kept_moves() -> Iterator[None]:
    """Let a trigger refuse to have moves deleted, which go with their shelf."""
    trigger = pgtrigger.Protect(name="keep", operation=pgtrigger.Delete)
    with trigger.register(StockMove):
        trigger.install(StockMove)
        yield


def test_rows_that_would_go_along_and_cannot_are_named_before_anybody_tries(
    kept_moves: None, client: Client
) -> None:
    warehouse = Warehouse.objects.create()
    shelves = [Shelf.objects.create(warehouse=warehouse) for _ in range(2)]
    for quantity in (1, 2):
        StockMove.objects.create(shelf=shelves[0], quantity=quantity)
    sentence = "2 stock moves: tutorial.StockMove:keep refuses to have them deleted"
    for url, data in (
        (f"/ours/tutorial/shelf/{shelves[0].pk}/delete/", {"post": "yes"}),
        (f"/ours/tutorial/warehouse/{warehouse.pk}/delete/", {"post": "yes"}),
        (
            "/ours/tutorial/shelf/",
            {"action": "delete_selected", "post": "yes", "_selected_action": [shelves[0].pk]},
        ),
    ):
        assert sentence in text_of(post(client, url, **data)), url
    assert Shelf.objects.count() == 2
    post(client, f"/ours/tutorial/shelf/{shelves[1].pk}/delete/", post="yes")
    assert list(Shelf.objects.all()) == shelves[:1]


@pytest.mark.parametrize(("site", "offered"), [("stock", True), ("ours", False)])
def test_an_inline_has_no_box_to_delete_what_is_kept(
    site: str, offered: bool, kept_moves: None, client: Client
) -> None:
    shelf = Shelf.objects.create(warehouse=Warehouse.objects.create())
    StockMove.objects.create(shelf=shelf, quantity=1)
    page = client.get(f"/{site}/tutorial/shelf/{shelf.pk}/change/").content.decode()
    assert ('name="stockmove_set-0-DELETE"' in page) is offered


def test_somebody_without_the_permission_still_may_not(client: Client) -> None:
    client.force_login(User.objects.create_user("ben", is_staff=True))
    row = customer()
    assert client.post(f"/ours/past/customer/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.post(f"/ours/past/customer/{row.pk}/change/", {}).status_code == 403


def test_the_example_of_the_documentation_works() -> None:
    text = (ROOT / "docs" / "admin.md").read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    (example,) = (one for one in found if "ProtectedAdminMixin" in one)
    ours = "from demo_site.tutorial.models import Shelf as Order, StockMove as OrderLine"
    code = example.replace("from shop.models import Order, OrderLine", ours)
    code = code.replace("@admin.register(Order)", "@admin.register(Order, site=site)")
    assert ours in code
    site = AdminSite("documented")
    exec(code, {"site": site})
    (documented,) = site._registry.values()
    assert isinstance(documented, ProtectedAdminMixin)
    assert site.get_model_admin(Shelf).inlines[0].model is StockMove
    assert not documented.check()
