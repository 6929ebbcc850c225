"""One change of state, as subscribers and the journal are told of it."""

from __future__ import annotations

from typing import NamedTuple

from supervisor_lite.model.cause import Cause, Note


class Change(NamedTuple):
    """One published change of state, with its cause.

    `serial` grows by one per change and is never reused in a state directory.
    """

    serial: int
    time: float
    """Wall-clock seconds since the epoch; for display only."""
    name: str
    """`group:name` as operators type it."""
    process: str
    group: str
    from_state: str
    to_state: str
    cause: Cause | None
    """Why; TAKEN_OVER, FOUND_ENDED and MAIN_REPLACED are causes of a change from a state to the
    same one. The first two are kept and shown like all others, but not published on the bus."""
    notes: tuple[Note, ...] = ()
    """What else had to be done: SIGKILL after a while, leftovers ended."""
    by: str = ""
    """Who asked for it ("uid 1000 (deploy), pid 812: slctl stop web"); empty if nobody did."""
    run: int | None = None
    pid: int | None = None
    exitcode: int | None = None
    signal: str | None = None
    expected: bool | None = None
    """For EXITED: was the exit code one of `exitcodes`?"""
    tries: int = 0
    """For STARTING and BACKOFF: failed starts so far."""
    last_words: str = ""
    """For a failed start: the last lines of its output."""
