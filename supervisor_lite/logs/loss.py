"""What of a stream's output is lost, because it could not be written for too long, and why.

Who loses something says so in three places: here (for `status`, `why` and metrics), in the daemon's
log, and where it is missing: a line in its place, as soon as something can be written there again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from supervisor_lite.explain.output import mark_text
from supervisor_lite.model.output import OutputLoss, OutputTrouble

NOBODY_READS = "nobody reads it"
"""The reason where no error tells one: a pipe or a terminal that takes no more."""


def joined(one: OutputLoss, other: OutputLoss) -> OutputLoss:
    """Return what two of them are together."""
    return OutputLoss(
        one.bytes + other.bytes,
        one.lines + other.lines,
        min(one.first or other.first, other.first or one.first),
        max(one.last, other.last),
    )


class Loss:
    """What one stream has lost since the daemon is there, and what is wrong with it now."""

    __slots__ = ("_changed", "_reason", "_stream", "_unmarked", "total", "trouble")

    def __init__(self, stream: str = "", changed: Callable[[], None] = lambda: None) -> None:
        """`changed` is called when what is shown here is another."""
        self._stream = stream
        self._changed = changed
        self._reason = ""
        self._unmarked = OutputLoss()
        self.total = OutputLoss()
        self.trouble: OutputTrouble | None = None

    @property
    def pending(self) -> bool:
        """Is there something missing in the log that is not marked in it?"""
        return self._unmarked.bytes > 0

    def begin(self, target: str, reason: str) -> None:
        """It cannot be written at present; output waits."""
        self._reason = reason
        since = self.trouble.since if self.trouble is not None else time.time()
        dropping = self.trouble is not None and self.trouble.dropping
        self.trouble = OutputTrouble(self._stream, target, reason, since, dropping)
        self._changed()

    def drop(self, data: bytes, lines: int | None = None) -> None:
        """Count what is lost from now on."""
        now = time.time()
        lines = data.count(b"\n") if lines is None else lines
        more = OutputLoss(len(data), lines, now, now)
        self.total = joined(self.total, more)
        self._unmarked = joined(self._unmarked, more)
        if self.trouble is not None and not self.trouble.dropping:
            self.trouble = self.trouble._replace(dropping=True)
        self._changed()

    def end(self) -> None:
        """It can be written again, or goes somewhere else."""
        if self.trouble is not None:
            self.trouble = None
            self._changed()

    def mark(self) -> bytes:
        """Return the line that tells what is missing in front of it."""
        return f"{mark_text(self._unmarked, self._reason)}\n".encode(errors="replace")

    def marked(self) -> OutputLoss:
        """The line was written. Return what it has told."""
        told, self._unmarked = self._unmarked, OutputLoss()
        return told
