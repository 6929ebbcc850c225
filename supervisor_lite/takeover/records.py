"""What the record of a process becomes when the daemon that wrote it is no more."""

from __future__ import annotations

from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import State


def of_live_run(record: Record, program: Program, *, run: int, pid: int, spawned: float) -> Record:
    """Return the record of a process whose run is alive, also if its last lines were not written.

    `spawned` is when the run began, in monotonic seconds: all that is known of it, if the record is
    that of an earlier run.
    """
    if record.run == run and record.pid == pid:
        return record
    return record._replace(
        state=State.STARTING,
        wanted=True,
        pid=pid,
        run=run,
        spawned=spawned,
        deadline=spawned + program.startsecs,
        leftovers=False,
        due=None,
        asked=False,
        killed=False,
        kill_now=False,
        cooling=False,
        error=None,
        notes=(),
        cause=Cause(CauseKind.FOUND_ALIVE),
    )


def of_no_live_run(record: Record, now: float) -> Record:
    """Return the record of a process of which no main process is alive; its end is not answered.

    If the daemon died before the fork, nothing has happened yet: it is spawned as it was to be.
    """
    if record.state is State.STARTING and record.pid is None:
        return record._replace(state=State.STOPPED, asked=True, deadline=now)
    return record
