"""Where a process is now, as the rules see it."""

from __future__ import annotations

from typing import NamedTuple

from supervisor_lite.model.cause import Cause, Note, SpawnFailure
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.states import State


class Record(NamedTuple):
    """Where a process is now."""

    state: State = State.STOPPED
    wanted: bool = False
    """The wish: should this process be up?"""
    pid: int | None = None
    run: int | None = None
    """The id of the last run; its process is alive while `pid` is set."""
    spawned: float | None = None
    """When the last run was spawned."""
    failures: int = 0
    """Failed starts in a row."""
    deadline: float | None = None
    """When to act next without anybody asking; in a quiet state: the next spawn."""
    leftovers: bool = False
    """Descendants of the last run are being ended; `deadline` is when to kill them."""
    due: float | None = None
    """The deadline to go back to when the leftovers are gone."""
    told: float | None = None
    """When the process group of the last run was sent the stop signal, or what is left of it;
    None: neither was."""
    asked: bool = False
    """The next spawn was asked for, it is no automatic restart."""
    killed: bool = False
    """SIGKILL was sent to the main process of the last run."""
    kill_now: bool = False
    """Whatever is left of the last run is to be killed without waiting."""
    cooling: bool = False
    """`restart_limit` was used up at its end: FATAL at the deadline, or one try after a pause."""
    exit: Exit | None = None
    """How the last run that ended did so."""
    error: SpawnFailure | None = None
    """Why the last start failed before there was a process."""
    restarts: tuple[float, ...] = ()
    """When automatic restarts happened, as far back as `restart_limit` looks."""
    restart_count: int = 0
    """Automatic restarts since the last start that was asked for."""
    cause: Cause | None = None
    """Why the state is what it is; None: nothing has happened yet."""
    notes: tuple[Note, ...] = ()
    """What else had to be done: SIGKILL after a while, leftovers ended."""
    by: str = ""
    """Who asked for it; empty if nobody did."""
