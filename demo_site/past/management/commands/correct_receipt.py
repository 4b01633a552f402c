"""``manage.py correct_receipt``: the kind of data fix that a trigger forbids."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from demo_site.past.models import Receipt


class Command(BaseCommand):
    """Gives a receipt another number."""

    help = "Give a receipt another number. Its trigger forbids that outside a session."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the two numbers."""
        parser.add_argument("wrong", help="The number that it has")
        parser.add_argument("right", help="The number that it should have")

    def handle(self, *args: Any, wrong: str, right: str, **options: Any) -> None:
        """Correct the receipt."""
        if not Receipt.objects.filter(number=wrong).update(number=right):
            raise CommandError(f'There is no receipt "{wrong}".')
        self.stdout.write(f"Receipt {wrong} is {right} now.")
