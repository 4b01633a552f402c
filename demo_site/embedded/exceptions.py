from __future__ import annotations


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be had. The message is one sentence and a next step.

    `exit_code` is what a command should end with: nothing was changed, trying again is safe.
    """

    exit_code = 5
