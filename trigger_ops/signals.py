"""Django signals: what other code may listen to."""

from __future__ import annotations

from django.dispatch import Signal

#: Sent once for each change of a finding that people are told of, after it was committed, with
#: ``change`` (:class:`trigger_ops.records.FindingChange`). A receiver that fails is logged.
finding_changed = Signal()
