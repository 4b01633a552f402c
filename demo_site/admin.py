"""The demo site's models in its admin, by the mixin: try there what their triggers refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.postgres.search import SearchVectorField
from django.http import HttpRequest

from demo_site.awkward import models as awkward
from demo_site.past import models as past
from demo_site.tutorial import models as tutorial
from demo_site.tutorial.constructs import CONSTRUCTS
from trigger_ops.web.protected import ProtectedAdminMixin, ProtectedInlineMixin

if TYPE_CHECKING:
    AdminBase = admin.ModelAdmin[Any]
    InlineBase = admin.TabularInline[Any, Any]
else:
    AdminBase = admin.ModelAdmin
    InlineBase = admin.TabularInline


class DemoAdmin(ProtectedAdminMixin, AdminBase):
    """Shows every field, and says what a trigger says."""

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the names of all fields but those that nobody can read."""
        fields = self.model._meta.concrete_fields
        return [field.name for field in fields if not isinstance(field, SearchVectorField)]


class StockMoves(ProtectedInlineMixin, InlineBase):
    """What is on a shelf, which its trigger refuses to change once the warehouse is closed."""

    model = tutorial.StockMove
    extra = 1


@admin.register(tutorial.Shelf)
class ShelfAdmin(DemoAdmin):
    """A shelf with its goods."""

    inlines = (StockMoves,)


@admin.register(past.Customer)
class CustomerAdmin(DemoAdmin):
    """Customers, who can be edited in their list; their e-mail addresses are read-only."""

    list_display = ("id", "name", "email")
    list_editable = ("name", "email")


@admin.register(awkward.OpenOrderLine)
class OpenOrderLineAdmin(DemoAdmin):
    """A view of the database, from which lines can be deleted and nothing else."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds to the view."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes what is in it."""
        return False


admin.site.register(
    [
        tutorial.CannotDelete,
        tutorial.AppendOnly,
        tutorial.ReadOnlyField,
        tutorial.ReadOnlyFields,
        tutorial.SoftDelete,
        tutorial.Versioned,
        tutorial.OfficialInterface,
        tutorial.FSM,
        tutorial.Tracked,
        tutorial.Warehouse,
        *(one.model for one in CONSTRUCTS),
        past.Invoice,
        past.PriceList,
        past.Payroll,
        past.Contract,
        past.Shipment,
        past.Receipt,
        awkward.Measurement,
        awkward.LedgerEntry,
        awkward.OrderLine,
        awkward.ArchivedDocument,
        awkward.Posting,
        awkward.Article,
    ],
    DemoAdmin,
)
