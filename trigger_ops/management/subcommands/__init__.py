"""One module a verb of ``manage.py pgtrigger``: arguments in, one call, output out."""

from __future__ import annotations
