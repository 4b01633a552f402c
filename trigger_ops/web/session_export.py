"""A session as a file: the object that ``session show --format json`` prints, or its rows as CSV."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from trigger_ops import api
from trigger_ops.rendering.documents import as_json
from trigger_ops.rendering.session_documents import session_document
from trigger_ops.sessions.reporting import SessionAccount
from trigger_ops.web.session_basics import SessionsPage
from trigger_ops.web.session_rows import csv_lines


class SessionFile(SessionsPage):
    """A file of one session. It has changed rows in it, so it takes the permission to see those."""

    def get(self, request: HttpRequest, session: int) -> HttpResponseBase:
        """Send it."""
        self.require("trigger_ops.view_change")
        account = api.show_session(session, using=self.alias)
        response = self.file(account)
        name = f"session-{account.session.id}.{self.ending}"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    ending = ""

    def file(self, account: SessionAccount) -> HttpResponseBase:
        """Return the file."""
        raise NotImplementedError


class SessionJson(SessionFile):
    """A session with all its evidence as JSON."""

    ending = "json"

    def file(self, account: SessionAccount) -> HttpResponseBase:
        """Return the object that the command line prints."""
        return HttpResponse(
            f"{as_json(session_document(account))}\n", content_type="application/json"
        )


class SessionCsv(SessionFile):
    """The rows that a session wrote, a line a column, as CSV."""

    ending = "csv"

    def file(self, account: SessionAccount) -> HttpResponseBase:
        """Return the rows, line by line."""
        return StreamingHttpResponse(
            csv_lines(account.changes), content_type="text/csv; charset=utf-8"
        )
