"""Where the output of a program goes."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from supervisor_lite.model.constants import MIB

SYSLOG = "syslog"
"""In place of the path of a log."""


class OnFull(Enum):
    """What becomes of output that cannot be written, when its pipe is full."""

    WAIT = "wait"
    """The program waits, for as long as it takes."""
    DROP = "drop"
    """It waits for a while; then the oldest output in the pipe is dropped, and that is told."""


class Output(NamedTuple):
    """Where one stream of a child goes."""

    path: str | None = None
    """Absolute path of the log file; None keeps nothing."""
    maxbytes: int = 50 * MIB
    """Rotate when the file would grow beyond this; 0 never rotates."""
    backups: int = 10
    """How many rotated files are kept (`.1` is the newest); 0 keeps none."""
    syslog: bool = False
    """Also send each line to syslog."""
    prefix: str = ""
    """Put before each line, where several programs share what is no regular file."""
    events_enabled: bool = False
    """Tell event listeners what is written (PROCESS_LOG)."""
    capture_maxbytes: int = 0
    """Tell them what is written between two tokens (PROCESS_COMMUNICATION), at most so much; 0:
    tokens are ordinary text."""
    strip_ansi: bool = False
    """Leave out escape sequences."""
    answers: bool = False
    """It is what an event listener says to us."""
    on_full: OnFull = OnFull.DROP

    @property
    def captured(self) -> bool:
        """Does it go anywhere at all?"""
        return (
            self.path is not None
            or self.syslog
            or self.events_enabled
            or self.capture_maxbytes > 0
            or self.answers
        )


class OutputTrouble(NamedTuple):
    """Why output cannot be written at present."""

    stream: str
    """stdout or stderr."""
    target: str
    """The path of the log, or "syslog"."""
    error: str
    since: float
    """Wall-clock time."""
    dropping: bool = False
    """Some of it is lost already, and more will be."""


class OutputLoss(NamedTuple):
    """How much output was lost."""

    bytes: int = 0
    lines: int = 0
    first: float = 0.0
    """Wall-clock time at which the first of it was dropped, 0 if nothing was."""
    last: float = 0.0
