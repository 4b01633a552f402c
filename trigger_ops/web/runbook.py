"""The page about an ID of a finding that comes with trigger_ops, as it was written."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse

from trigger_ops import conf
from trigger_ops.drift.ids import KINDS
from trigger_ops.web.columns import code_block
from trigger_ops.web.pages import Page


class Runbook(Page):
    """What a finding means, how it comes about, and what to do. It is no secret: all staff may read it."""

    def require(self, permission: str) -> None:
        """Ask for no permission."""

    def get(self, request: HttpRequest, code: str) -> HttpResponse:
        """Show it."""
        if code not in KINDS:
            raise Http404
        try:
            text = conf.shipped_runbook(code).read_text(encoding="utf-8")
        except OSError:
            raise Http404 from None
        title = text.partition("\n")[0].removeprefix("# ")
        return self.page("runbook.html", title=title, text=code_block(text))
