"""What the record of a process becomes when the daemon that wrote it is no more."""

from __future__ import annotations

from collections.abc import Collection

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


def is_untold(record: Record, unsent: Collection[int]) -> bool:
    """Is it being ended, and has perhaps not been told so? `unsent`: the runs of such signals."""
    ending = record.state is State.STOPPING and record.pid is not None
    return ending and record.run in unsent and not (record.killed or record.kill_now)


def of_told(record: Record, program: Program, now: float) -> Record:
    """Return the record of a process that is told to end only now."""
    told = now if program.stopasgroup else None
    return record._replace(told=told, deadline=now + program.stopwaitsecs)
