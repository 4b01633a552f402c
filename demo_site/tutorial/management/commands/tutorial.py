"""``manage.py tutorial``: run the documents' examples and compare what they do."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from demo_site.tutorial.columns import side_by_side
from demo_site.tutorial.runner import CannotRun, Outcome, UnknownName, run, select


class Command(BaseCommand):
    """Run the examples of the tutorial and of the guide to conditional triggers."""

    help = "Run the examples of both documents; print what they should do beside what they do."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the names of examples. Without a name, all run."""
        parser.add_argument("names", nargs="*", metavar="NAME", help="an example, e.g. AppendOnly")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Exit with 0 if all is as expected, 1 if not, 2 for a wrong name, 4 if none can run."""
        try:
            verdicts = [self.show(outcome) for outcome in run(select(options["names"]))]
        except (CannotRun, UnknownName) as error:
            raise CommandError(str(error), returncode=error.exit_code) from error
        different = verdicts.count(False)
        self.stdout.write(f"{len(verdicts)} examples, {different} different.")
        if different:
            raise SystemExit(1)

    def show(self, outcome: Outcome) -> bool:
        """Print what was expected beside what happened; return whether both are the same."""
        self.stdout.write(f"{outcome.title} ... {'ok' if outcome.ok else 'DIFFERENT'}")
        self.stdout.write(side_by_side(outcome.expected, outcome.actual))
        self.stdout.write(f"  Note: {outcome.note}\n\n" if outcome.note else "")
        return outcome.ok
