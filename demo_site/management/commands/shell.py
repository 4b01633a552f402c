"""``manage.py shell``, which prints nothing but what the code prints when it is given code."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import shell


class Command(shell.Command):
    """Django's shell. With ``-c`` it does not count the models it has imported."""

    def handle(self, **options: Any) -> None:
        """Run as Django's own, quiet where ``-c`` is given and no verbosity asks for more."""
        if options["command"] and options["verbosity"] == 1:
            options["verbosity"] = 0
        super().handle(**options)
