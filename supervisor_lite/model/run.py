"""One execution of a process and what was last known of it: rows of the journal."""

from __future__ import annotations

from typing import NamedTuple

from supervisor_lite.model.cause import Cause
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record


class RunRow(NamedTuple):
    """One run, as far as it is known. Times are wall-clock seconds since the epoch."""

    run: int
    name: str
    intended: float
    pid: int | None = None
    boot: str | None = None
    start: int | None = None
    inode: int | None = None
    spawned: float | None = None
    ended: float | None = None
    code: int | None = None
    signal: str | None = None
    cause: Cause | None = None
    """Why it ended, or why there never was a process."""
    maxrss: int | None = None
    utime: float | None = None
    stime: float | None = None
    last_words: str | None = None


class StoredProcess(NamedTuple):
    """What the journal knows of a process."""

    name: str
    record: Record
    program: Program
    """The definition that is in force, not one that waits for the next run."""
    since: float | None
    """Wall-clock time at which the state was entered."""
    started: float | None
    """Wall-clock time of the last spawn."""
