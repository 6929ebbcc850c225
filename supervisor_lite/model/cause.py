"""Why something is so, as data: a kind with fields. No sentence is kept, and none is ever read.

Sentences are made of these where a person reads them (explain/cause.py); the values of the enums
are part of the control socket's contract (docs/protocol.md) and stand in the journal, so none is
ever renamed. `Cause` is one flat tuple and not a class per kind: a class costs 0.1 ms at every
start of the daemon, and two dozen of them would hold a field or none.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from supervisor_lite.errors import SpawnErrorCode
from supervisor_lite.model.exit import Exit


class CauseKind(Enum):
    """What led to a state, to a note in the journal, or to the end of a run."""

    # Somebody asked for it.
    START_ASKED = "start_asked"
    STOP_ASKED = "stop_asked"
    RESTART_ASKED = "restart_asked"
    ADDED = "added"
    """Its group was brought into force by hand."""
    ADDED_BY_UPDATE = "added_by_update"
    CHANGED_BY_UPDATE = "changed_by_update"
    # Somebody did it, and the state is the same.
    SIGNAL_SENT = "signal_sent"
    """`signal`, to the main process."""
    INPUT_SENT = "input_sent"
    """`used` bytes."""
    LOG_CLEARED = "log_cleared"
    REMOVED = "removed"
    """Its group was taken out of use."""
    # The daemon did it by itself.
    AUTOSTART = "autostart"
    RESUMED = "resumed"
    """A shutdown, or a reload, that was cut short had stopped it."""
    NO_LONGER_DEFINED = "no_longer_defined"
    MEMORY_RESTART = "memory_restart"
    """`used` of `limit` bytes."""
    STATE_LOST = "state_lost"
    """An event listener, and nobody knows what it was doing when the daemon died."""
    # An event listener is of no use; its state is the same.
    PROTOCOL_BROKEN = "protocol_broken"
    """It has said `text`."""
    INPUT_CLOSED = "input_closed"
    EVENTS_REJECTED = "events_rejected"
    """`number` in a row."""
    EVENTS_DROPPED = "events_dropped"
    """`number`, because it takes them too slowly."""
    # The rules did it.
    UP = "up"
    """For `seconds`, so it is RUNNING."""
    EXITED = "exited"
    """`exit`, and whether it was `expected` where that matters."""
    EXITED_TOO_SOON = "exited_too_soon"
    """`exit`, before it had been up for long enough: a failed start."""
    SPAWN_FAILED = "spawn_failed"
    """`error`: there was no process."""
    RETRY = "retry"
    """After a failed start: try `number` of `limit`."""
    RESTARTED = "restarted"
    """By itself, after `exit` or `error`."""
    START_RETRIES_SPENT = "start_retries_spent"
    """`number` starts in a row have failed, the last one by `exit` or `error`."""
    RESTART_LIMIT_REACHED = "restart_limit_reached"
    """`number` automatic restarts in `seconds`, the last one after `exit` or `error`."""
    MAIN_REPLACED = "main_replaced"
    """The main process `number` has ended, and `pid` has taken its place."""
    # A daemon found it so.
    TAKEN_OVER = "taken_over"
    """By the daemon with `pid`; after an upgrade that is of `version`."""
    FOUND_ENDED = "found_ended"
    """The same, and nobody was there when it ended."""
    FOUND_ALIVE = "found_alive"
    """What was written down of this run is not the last that happened."""
    MACHINE_RESTARTED = "machine_restarted"
    NEVER_SPAWNED = "never_spawned"
    """The daemon died between the intent and the fork."""
    WITHDRAWN = "withdrawn"
    """Nobody needed the run any more before it was spawned."""
    RECORDED = "recorded"
    """`text`, as a version wrote it that kept sentences."""


class SpawnFailure(NamedTuple):
    """Why there was no process."""

    code: SpawnErrorCode
    text: str
    """For people: `cannot find the command "nope"`."""
    name: str = ""
    """What it is about, if that has a name: a path, a user, a key."""


class Cause(NamedTuple):
    """Why something is so. Which fields are set depends on the kind; see there."""

    kind: CauseKind
    exit: Exit | None = None
    expected: bool | None = None
    error: SpawnFailure | None = None
    number: int | None = None
    limit: int | None = None
    seconds: float | None = None
    used: int | None = None
    """Bytes."""
    pid: int | None = None
    version: str = ""
    text: str = ""
    signal: str = ""
    """"SIGUSR1"."""


INTERVENTIONS = frozenset({CauseKind.SIGNAL_SENT, CauseKind.INPUT_SENT, CauseKind.LOG_CLEARED})
"""What anybody may do any number of times: it must not displace the rest of a process's story."""


LISTENER_TROUBLE = frozenset({
    CauseKind.PROTOCOL_BROKEN, CauseKind.INPUT_CLOSED, CauseKind.EVENTS_REJECTED,
    CauseKind.EVENTS_DROPPED,
})  # fmt: skip
"""What is wrong with an event listener that runs."""


class NoteKind(Enum):
    """What else had to be done."""

    KILLED = "killed"
    """The main process got SIGKILL after `seconds`; None: at once."""
    LEFTOVERS_ENDED = "leftovers_ended"
    LEFTOVERS_KILLED = "leftovers_killed"
    """By SIGKILL."""
    LEFTOVERS_KEPT = "leftovers_kept"
    """Left alone, because the program says so."""
    OUTPUT_LOST = "output_lost"
    """Its pipe cannot be had any more; `text` says why. Its next run has a new one."""
    RECORDED = "recorded"
    """`text`, as a version wrote it that kept sentences."""


class Leftover(NamedTuple):
    """A descendant of a run that outlived its main process."""

    pid: int
    name: str
    detached: bool = False
    """It was in a session of its own (setsid(2)), as what puts itself into the background is."""


class Note(NamedTuple):
    """One thing that had to be done besides a change of state."""

    kind: NoteKind
    seconds: float | None = None
    processes: tuple[Leftover, ...] = ()
    """For leftovers: which, by pid."""
    text: str = ""
