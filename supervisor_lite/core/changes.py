"""What the engine tells of a change of state, with what only it knows: serial, time, output."""

from __future__ import annotations

from supervisor_lite.core.process import Process
from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.change import Change
from supervisor_lite.model.record import Record
from supervisor_lite.rules.published import change_of, has_last_words


def describe_change(process: Process, before: Record, serial: int, now: float) -> Change:
    """Return the change from the record before to the one that the process has now.

    Of the same state, it is that the run has another main process; `now` is wall-clock time.
    """
    record = process.record
    if record.state is before.state:
        change = change_of(process.program, before, record, serial=serial, time=now)
        cause = Cause(CauseKind.MAIN_REPLACED, number=before.pid, pid=record.pid)
        return change._replace(cause=cause, by="", notes=())
    change = change_of(process.program, before, record, serial=serial, time=process.since)
    if not has_last_words(change):
        return change
    return change._replace(last_words=process.last_words())
