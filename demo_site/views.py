"""The front page."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import pgtrigger
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from demo_site.commands_to_try import COMMANDS


@dataclass(frozen=True)
class Row:
    """One trigger of the site."""

    model: str
    uri: str
    purpose: str


def front_page(request: HttpRequest) -> HttpResponse:
    """Show what the site holds, where the admin is, and which commands to try."""
    rows = [
        Row(
            model=str(model._meta.object_name),
            uri=trigger.get_uri(model),
            purpose=(inspect.getdoc(model) or "").partition("\n")[0],
        )
        for model, trigger in pgtrigger.registered()
    ]
    return render(request, "demo_site/front_page.html", {"rows": rows, "commands": COMMANDS})
