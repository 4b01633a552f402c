"""The commands that the demo site proposes, on its front page and in the terminal."""

from __future__ import annotations

#: Command and what it is for.
COMMANDS = (
    ("manage.py tutorial", "every example of the documents, expected beside actual"),
    ("manage.py pgtrigger ls", "every trigger, and whether it is what the code says"),
    ("manage.py pgtrigger diff", "what differs, line by line"),
    ("manage.py pgtrigger check", "the same for a cron job: it exits with 1"),
    ("manage.py pgtrigger plan", "what a repair would do, and which locks it takes"),
    ("manage.py pgtrigger install past", "the repair, table by table"),
    ("manage.py pgtrigger log", "who changed which trigger, when and why"),
    ("manage.py demo_past", "damage the triggers again after a repair"),
)
