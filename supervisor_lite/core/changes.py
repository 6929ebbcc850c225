"""A change of state in words that subscribers and the journal understand."""

from __future__ import annotations

from supervisor_lite.core.process import Process
from supervisor_lite.model.change import Change
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import NOTHING_RUNS, State
from supervisor_lite.rules.lifecycle import is_expected


def describe_change(process: Process, before: Record, serial: int) -> Change:
    """Return the change from the record before to the one that the process has now."""
    record = process.record
    how = record.exit if record.state in NOTHING_RUNS and before.pid is not None else None
    expected = None
    if record.state is State.EXITED:
        expected = is_expected(process.program, record.exit)
    failed = record.state in (State.BACKOFF, State.FATAL) and not record.error
    return Change(
        serial=serial,
        time=process.since,
        name=process.name,
        process=process.program.name,
        group=process.group,
        from_state=before.state.name,
        to_state=record.state.name,
        cause=record.cause,
        note=record.note if record.state in NOTHING_RUNS | {State.STARTING} else "",
        by=record.by,
        run=record.run,
        pid=record.pid or before.pid,
        exitcode=how.code if how else None,
        signal=how.signal if how else None,
        expected=expected,
        tries=record.failures,
        last_words=process.last_words() if failed else "",
    )
