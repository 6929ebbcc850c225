"""What subscribers and the journal are told of a step that led to another state."""

from __future__ import annotations

from supervisor_lite.model.change import Change
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import NOTHING_RUNS, State
from supervisor_lite.rules.lifecycle import is_expected


def change_of(
    program: Program, before: Record, after: Record, *, serial: int, time: float
) -> Change:
    """Return the change from one record to the next, of which the state is another one.

    `time` is in wall-clock seconds since the epoch.
    """
    ended = after.exit if after.state in NOTHING_RUNS and before.pid is not None else None
    expected = is_expected(program, after.exit) if after.state is State.EXITED else None
    return Change(
        serial=serial,
        time=time,
        name=program.fullname,
        process=program.name,
        group=program.group or program.name,
        from_state=before.state.name,
        to_state=after.state.name,
        cause=after.cause,
        notes=after.notes if after.state in NOTHING_RUNS | {State.STARTING} else (),
        by=after.by,
        run=after.run,
        pid=after.pid or before.pid,
        exitcode=ended.code if ended else None,
        signal=ended.signal if ended else None,
        expected=expected,
        tries=after.failures,
    )


def has_last_words(change: Change) -> bool:
    """Is the output of a run worth a look, because it was a failed start?"""
    failed = change.to_state in (State.BACKOFF.name, State.FATAL.name)
    return failed and change.cause is not None and change.cause.error is None
