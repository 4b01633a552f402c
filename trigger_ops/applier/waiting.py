"""Bounded waiting: decorrelated jitter, under a budget of wall-clock time for the whole run."""

from __future__ import annotations

import datetime as dt
import random
import time

FIRST = 0.05
LONGEST = 2.0
"""Seconds between two tries: at least, and at most."""


class Waits:
    """What a run has spent on waiting, failed tries included."""

    def __init__(self, budget: dt.timedelta) -> None:
        self.budget = budget.total_seconds()
        self.spent = 0.0
        self.tries = 0
        self._last = FIRST

    def add(self, seconds: float) -> None:
        """Count a try that failed."""
        self.spent += seconds
        self.tries += 1

    def patience(self, longest: dt.timedelta) -> dt.timedelta:
        """Return how long the next try may wait: no longer than the budget, but long enough."""
        left = max(FIRST, self.budget - self.spent)
        return min(longest, dt.timedelta(seconds=left))

    def pause(self) -> bool:
        """Sleep before another try; False, at once, where the budget is spent.

        Decorrelated jitter (AWS Architecture Blog, "Exponential Backoff and Jitter"): many
        waiters do not meet again.
        """
        left = self.budget - self.spent
        if left <= 0:
            return False
        # Not a secret: it only spreads waiters.
        self._last = min(LONGEST, random.uniform(FIRST, self._last * 3))  # noqa: S311 - to spread waits is no secret
        pause = min(self._last, left)
        time.sleep(pause)
        self.spent += pause
        return True

    def relax(self) -> None:
        """Begin with short pauses again, for another table."""
        self._last = FIRST
