"""What the engine tells of a change of state, with what only it knows: serial, time, output."""

from __future__ import annotations

from supervisor_lite.core.process import Process
from supervisor_lite.model.change import Change
from supervisor_lite.model.record import Record
from supervisor_lite.rules.published import change_of, has_last_words


def describe_change(process: Process, before: Record, serial: int) -> Change:
    """Return the change from the record before to the one that the process has now."""
    change = change_of(process.program, before, process.record, serial=serial, time=process.since)
    if not has_last_words(change):
        return change
    return change._replace(last_words=process.last_words())
