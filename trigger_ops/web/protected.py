"""Mixins for a project's own admin: what a trigger refuses is a message there, and never a 500."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import InlineModelAdmin
from django.contrib.admin.utils import NestedObjects
from django.db import DatabaseError, connections, models, router, transaction
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from trigger_ops.web.refusing import any_refuses_deletes, refusing_deletes, sentence_of

if TYPE_CHECKING:
    InlineBase = InlineModelAdmin[Any, Any]
    AdminBase = ModelAdmin[Any]
else:
    InlineBase = AdminBase = object

_READING = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_REFUSED, _ROW = "_trigger_ops_refused", "_trigger_ops_row"


class ProtectedInlineMixin(InlineBase):
    """For an inline: its rows have no box to delete them where a trigger refuses every delete."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may delete what a trigger keeps."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and not refusing_deletes(self.opts.model, request)


class ProtectedAdminMixin(AdminBase):
    """For a ModelAdmin, before it among the bases: a write that a trigger refuses is a message.

    Nothing of such a write is kept, its entry in the admin's log included. Where a trigger refuses
    every delete, nobody is offered one. Other errors of the database rise as ever.
    """

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may delete what a trigger keeps."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and not refusing_deletes(self.model, request)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show the form again, as it was filled in, with what the trigger says."""
        view = super().changeform_view
        return self._on_form(request, lambda: view(request, object_id, form_url, extra_context))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the rows again, as they were filled in, with what the trigger says."""
        view = super().changelist_view
        if "_save" not in request.POST:
            return view(request, extra_context)
        return self._on_form(request, lambda: view(request, extra_context))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Ask again whether to delete, with what the trigger says."""
        view = super().delete_view
        if request.method in _READING:
            return view(request, object_id, extra_context)
        try:
            with self._whole():
                return view(request, object_id, extra_context)
        except DatabaseError as error:
            self._tell(request, _nothing_deleted(error))
            return HttpResponseRedirect(request.get_full_path())

    def response_action(
        self, request: HttpRequest, queryset: models.QuerySet[Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Go back to the list, with what the trigger says. Only ``delete_selected`` is whole."""
        act = functools.partial(super().response_action, request, queryset, *args, **kwargs)
        deleting = _chosen_action(request) == "delete_selected"
        # Another action may count on keeping what it did before its first error.
        block = self._whole() if deleting else self._within_transaction()
        try:
            with block:
                return act()
        except DatabaseError as error:
            self._tell(request, _nothing_deleted(error) if deleting else _stopped(error))
            return None

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Count among what protects an object the rows that would go with it and cannot."""
        shown, counts, lacking, protected = super().get_deleted_objects(objs, request)
        if objs and any_refuses_deletes():
            collector: Any = NestedObjects(using=router.db_for_write(self.model), origin=objs)
            collector.collect(objs)
            for model, rows in collector.model_objs.items():
                if uris := refusing_deletes(model, request):
                    # The admin of these rows says no because of the trigger, not of the person.
                    lacking.discard(model._meta.verbose_name)
                    protected.append(_kept(model, len(rows), uris))
        return shown, counts, lacking, protected

    def get_form(self, request: HttpRequest, obj: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return the form, which after a refusal says what was refused."""
        form = super().get_form(request, obj, *args, **kwargs)
        refused = getattr(request, _REFUSED, None)
        return form if refused is None else _saying(form, refused)

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the forms of the list's rows; after a refusal the row's form says what it was."""
        formset = super().get_changelist_formset(request, **kwargs)
        refused = getattr(request, _REFUSED, None)
        row = getattr(request, _ROW, None)
        return formset if refused is None else _saying_at_row(formset, refused, row)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 - as Django calls it
        """Save, and remember what is being saved."""
        setattr(request, _ROW, obj.pk)
        super().save_model(request, obj, form, change)

    def message_user(
        self, request: HttpRequest, message: Any, level: Any = messages.INFO, *args: Any, **kw: Any
    ) -> None:
        """Before a success is claimed, let the triggers speak that wait for the commit."""
        if level in (messages.SUCCESS, "success", "SUCCESS"):
            setattr(request, _ROW, None)
            _settle(router.db_for_write(self.model))
        super().message_user(request, message, level, *args, **kw)

    def _on_form(self, request: HttpRequest, answer: Callable[[], Any]) -> Any:
        if request.method in _READING:
            return answer()
        try:
            with self._whole():
                return answer()
        except DatabaseError as error:
            refused = _nothing_saved(error)
        setattr(request, _REFUSED, refused)
        for _name, files in request.FILES.lists():
            for file in files:
                with contextlib.suppress(OSError, ValueError):
                    file.seek(0)
        try:
            with self._whole():
                return answer()
        except DatabaseError as error:
            # Whoever replaced get_form() altogether has no form that could say it.
            self._tell(request, _nothing_saved(error))
            return HttpResponseRedirect(request.get_full_path())

    def _tell(self, request: HttpRequest, sentence: str) -> None:
        self.message_user(request, sentence, messages.ERROR)

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """Keep all that is done inside or nothing: rows, and what the admin's log says of them."""
        alias = router.db_for_write(self.model)
        with contextlib.ExitStack() as stack:
            # The innermost is committed first: a log of something that was not kept is the lie.
            for one in dict.fromkeys((router.db_for_write(LogEntry), alias)):
                stack.enter_context(transaction.atomic(using=one))
            yield
            _settle(alias)

    @contextlib.contextmanager
    def _within_transaction(self) -> Iterator[None]:
        alias = router.db_for_write(self.model)
        with contextlib.ExitStack() as stack:
            if connections[alias].in_atomic_block:
                stack.enter_context(transaction.atomic(using=alias))
            yield


def _settle(alias: str) -> None:
    """Have deferred triggers and constraints judge now what they would judge at the commit."""
    connection = connections[alias]
    if connection.vendor == "postgresql" and connection.in_atomic_block:
        connection.check_constraints()


def _nothing_saved(error: DatabaseError) -> str:
    return _("%(refusal)s Nothing was saved.") % {"refusal": _refusal(error)}


def _nothing_deleted(error: DatabaseError) -> str:
    return _("%(refusal)s Nothing was deleted.") % {"refusal": _refusal(error)}


def _stopped(error: DatabaseError) -> str:
    return _("%(refusal)s The action stopped there.") % {"refusal": _refusal(error)}


def _refusal(error: DatabaseError) -> str:
    """Return what to say of a refusal; any other error is raised again."""
    sentence = sentence_of(error)
    if sentence is None:
        raise error
    return sentence


def _kept(model: type[models.Model], count: int, uris: list[str]) -> str:
    names = model._meta.verbose_name, model._meta.verbose_name_plural
    return ngettext(
        "%(count)d %(name)s: %(uri)s refuses to have it deleted",
        "%(count)d %(name)s: %(uri)s refuses to have them deleted",
        count,
    ) % {"count": count, "name": names[count != 1], "uri": ", ".join(uris)}


def _chosen_action(request: HttpRequest) -> str | None:
    """Return the action whose button was pushed. There may be a form above a list and one below."""
    # Since Django 6.1 a form on the page of one object has a prefix.
    keys = [one for one in request.POST if one == "action" or one.endswith("-action")]
    chosen = [name for key in keys for name in request.POST.getlist(key)]
    pushed = request.POST.get("index", "0")
    position = int(pushed) if len(pushed) < 5 and pushed.isdecimal() else 0
    return str(chosen[position]) if position < len(chosen) else None


def _saying(form: type[ModelForm[Any]], refused: str) -> type[ModelForm[Any]]:
    class Refused(form):  # type: ignore[valid-type, misc]  # its base is known at run time only
        def full_clean(self) -> None:
            super().full_clean()
            if self.is_bound:
                self.add_error(None, refused)

    return Refused


def _saying_at_row(formset: Any, refused: str, row: Any) -> Any:
    class Refused(formset):  # type: ignore[misc]  # its base is known at run time only
        def clean(self) -> None:
            super().clean()
            found = [one for one in self.forms if one.instance.pk == row and one.has_changed()]
            for form in found:
                form.add_error(None, refused)
            if not found:
                self._non_form_errors.append(refused)

    return Refused


__all__ = ["ProtectedAdminMixin", "ProtectedInlineMixin", "refusing_deletes", "sentence_of"]
