"""``manage.py demo_past``: damage the demo's triggers again, for instance after a repair."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import ProgrammingError

from demo_site.past import damage


class Command(BaseCommand):
    """Give the database its past."""

    help = "Damage five triggers of the demo site, each in another way."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Damage them and say how. Exit with 4 where the tables are missing."""
        try:
            sentences = damage.apply()
        except ProgrammingError as error:
            raise CommandError(
                f"The tables of the demo site are missing ({str(error).partition(chr(10))[0]}):"
                " run manage.py migrate first.",
                returncode=4,
            ) from error
        for sentence in sentences:
            self.stdout.write(sentence)
