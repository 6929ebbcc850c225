"""What captured output goes into, and the chief of them: a log file."""

from __future__ import annotations

import os
from typing import Protocol

from supervisor_lite.host.syscalls import bytes_in_pipe
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.peek import MOST, peek


class Sink(Protocol):
    """Takes the output of one stream out of its FIFO."""

    @property
    def name(self) -> str:
        """What the operator called it: a path, or "syslog"."""

    @property
    def blocked_on(self) -> int:
        """The descriptor that must become writable before `take` can go on; -1 for none."""

    @property
    def waits_for(self) -> int:
        """How many bytes stay in the FIFO until those that follow tell what they mean."""

    def take(self, fd: int, budget: int) -> int:
        """Move what is in the FIFO, up to about `budget` bytes; return how many.

        Never blocks. Raises OSError if it must be tried again later; then what was not moved is
        still in the FIFO.
        """

    def finish(self) -> None:
        """Let go of what was held back for the rest of its line: the run has ended."""

    def close(self) -> None:
        """Release what is open."""


class Tap(Protocol):
    """Gets a copy of what goes into a log file."""

    def feed(self, data: bytes) -> None:
        """Take a copy; never blocks and never raises."""

    def finish(self) -> None:
        """See `Sink.finish`."""

    def close(self) -> None:
        """See `Sink.close`."""


class FileSink:
    """Splices into a log file and rotates it at the ends of lines.

    A line is finished in the file in which it began, even beyond the limit; but a file that has
    grown by another `maxbytes` (at most 1 MiB) is cut there, in the middle of its line.
    """

    __slots__ = ("log", "tap")

    waits_for = 0

    def __init__(self, log: LogFile, tap: Tap | None = None) -> None:
        self.log = log
        self.tap = tap

    @property
    def name(self) -> str:
        """The path of the log."""
        return self.log.path

    @property
    def blocked_on(self) -> int:
        """A disk is never waited for: it takes all or fails."""
        return -1

    def take(self, fd: int, budget: int) -> int:
        """See `Sink.take`. The bytes go from pipe to file inside the kernel."""
        log = self.log
        log.check()
        if self.tap is not None:
            budget = min(budget, MOST)  # lines are looked at: that is dear
        moved = 0
        try:
            while moved < budget:
                count = budget - moved
                if log.limit and log.size + count > log.limit:
                    count = self._fitting(fd)
                copy = b""
                if self.tap is not None:
                    copy = peek(fd, count)
                    count = len(copy)
                if not count:
                    break
                size = os.splice(fd, log.fd, count, flags=os.SPLICE_F_NONBLOCK)
                log.size += size
                moved += size
                if self.tap is not None:
                    self.tap.feed(copy[:size])
                if size < count:
                    break
        except BlockingIOError:
            pass  # the pipe is empty
        finally:
            if moved:
                log.poke()
        return moved

    def _fitting(self, fd: int) -> int:
        """Return how many bytes may go into the live file now, after rotating it if none may.

        0 if the pipe is empty.
        """
        log = self.log
        available = bytes_in_pipe(fd)
        room = log.limit - log.size
        if not available or available <= room:
            return available
        if room > MOST:
            return room - MOST  # what is left can be looked through for the end of a line
        if room > 0:
            head = peek(fd, room)
            whole = head.rfind(b"\n") + 1
            if whole or not log.size:
                return whole or len(head)
        if not log.ends_in_newline() and log.size < log.hard_limit:
            head = peek(fd, log.hard_limit - log.size)
            return head.find(b"\n") + 1 or len(head)
        log.rotate()
        return self._fitting(fd)

    def replace_tap(self, tap: Tap | None) -> None:
        """Copy to another tap from the next byte, or to none."""
        if self.tap is not None:
            self.tap.close()
        self.tap = tap

    def finish(self) -> None:
        """See `Sink.finish`."""
        if self.tap is not None:
            self.tap.finish()

    def close(self) -> None:
        """See `Sink.close`."""
        self.log.close()
        if self.tap is not None:
            self.tap.close()
