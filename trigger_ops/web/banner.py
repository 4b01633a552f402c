"""The banner on every admin page of whoever has a session open: how long, for what, and how to end it.

It is put into the finished page, so that every theme shows it.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse

from trigger_ops.records import SessionRecord
from trigger_ops.web.nonces import issue

# A theme may have scripts in the attributes, and in these a ">".
_BODY = re.compile(rb"""<body\b(?:"[^"]*"|'[^']*'|[^"'>])*>""", re.IGNORECASE)
_HEAD = re.compile(rb"</head\s*>", re.IGNORECASE)


def with_banner(
    response: HttpResponseBase, request: HttpRequest, record: SessionRecord
) -> HttpResponseBase:
    """Return a page with the banner in it; what is no page of HTML comes back as it is."""
    if not isinstance(response, HttpResponse) or not _is_plain_page(response):
        return response
    body = _BODY.search(response.content)
    if body is None:
        return response
    banner = render_to_string("trigger_ops/banner.html", _shown(request, record), request)
    sheet = render_to_string("trigger_ops/banner_head.html", {}, request)
    charset = response.charset
    content = response.content
    content = content[: body.end()] + banner.encode(charset) + content[body.end() :]
    head = _HEAD.search(content)
    if head is not None:
        content = content[: head.start()] + sheet.encode(charset) + content[head.start() :]
    response.content = content
    if response.has_header("Content-Length"):
        response["Content-Length"] = str(len(content))
    return response


def _is_plain_page(response: HttpResponse) -> bool:
    kind = response.get("Content-Type", "").partition(";")[0].strip()
    return kind == "text/html" and not response.has_header("Content-Encoding")


def _shown(request: HttpRequest, record: SessionRecord) -> dict[str, Any]:
    site = _site_of(request)
    try:
        end = reverse("admin:trigger_ops_session_end", args=[record.id], current_app=site)
        page = reverse("admin:trigger_ops_session_detail", args=[record.id], current_app=site)
        page += f"?{urlencode({'database': record.database})}"
    except NoReverseMatch:
        end = page = ""
    return {"session": record, "end": end, "page": page, "nonce": issue(request)}


def _site_of(request: HttpRequest) -> str | None:
    """Return the name of the AdminSite that a page is in, also where its view does not set it."""
    match = request.resolver_match
    names = zip(match.app_names, match.namespaces, strict=True) if match is not None else ()
    return next((site for app, site in names if app == "admin"), None)
