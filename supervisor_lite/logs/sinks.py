"""What captured output goes into, and the chief of them: a log file.

A sink moves bytes out of a FIFO by itself, because how that is done is what differs: a file is
spliced into, so that the bytes never leave the kernel; a terminal takes whole lines; syslog takes a
datagram per line; a filter looks at the bytes first and leaves some out. Whoever pumps (capture.py)
only says how much, and hears how much it was.

One rule makes a full disk harmless: what a sink has not delivered is still in the FIFO. So like
write(2), `transfer` raises an error only if it has moved nothing, else it returns the short count;
and who stands before another sink (filtering.py) knows from that count what has arrived.
"""

from __future__ import annotations

import errno
import os
from typing import Final, Protocol

from supervisor_lite.host.syscalls import bytes_in_pipe
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.peek import MAX_PEEK, Peeker

MAX_RENAMES: Final = 16
"""Files that one turn renames at most, of one log: a longer rotation goes on in the next ones."""


class Sink(Protocol):
    """Takes the output of one stream out of its FIFO."""

    @property
    def name(self) -> str:
        """What the operator called it: a path, or "syslog"."""

    @property
    def blocked_on(self) -> int:
        """The descriptor that must become writable before `transfer` can go on; -1 for none."""

    @property
    def undecided(self) -> int:
        """How many bytes stay in the FIFO until those that follow tell what they mean."""

    def transfer(self, fd: int, budget: int) -> int:
        """Move what is in the FIFO, up to about `budget` bytes; return how many.

        Never blocks. Raises OSError if nothing can be moved now and it must be tried again later;
        what was not moved is still in the FIFO.
        """

    def mark(self, line: bytes) -> bool:
        """Write a line of ours where output is missing; False if that cannot be done now.

        Raises OSError as `transfer` does; on a line of its own, whatever came before.
        """

    def finish(self) -> None:
        """Deliver what was held back for the rest of its line: the run has ended."""

    def close(self) -> None:
        """Release what is open."""


class Tee(Protocol):
    """Gets a copy of what goes into a log file."""

    def feed(self, data: bytes) -> None:
        """Hand over a copy; never blocks and never raises."""

    def finish(self) -> None:
        """See `Sink.finish`."""

    def close(self) -> None:
        """See `Sink.close`."""


class FileSink:
    """Splices into a log file and rotates it at the ends of lines.

    A line is finished in the file in which it began, even beyond the limit; but a file that has
    grown by another `maxbytes` (at most 1 MiB) is cut there, in the middle of its line.
    """

    __slots__ = ("_log", "_peeker", "_tee")

    blocked_on = -1
    """A disk is never waited for: it takes all or fails."""
    undecided = 0

    def __init__(self, log: LogFile, peeker: Peeker, tee: Tee | None = None) -> None:
        self._log = log
        self._peeker = peeker
        self._tee = tee

    @property
    def name(self) -> str:
        """The path of the log."""
        return self._log.path

    def transfer(self, fd: int, budget: int) -> int:
        """See `Sink.transfer`. The bytes go from pipe to file inside the kernel."""
        log, tee = self._log, self._tee
        if tee is not None:
            budget = min(budget, MAX_PEEK)  # every byte is looked at: that is dear
        moved = 0
        try:
            while moved < budget:
                log.check()
                count = budget - moved
                if log.limit and log.size + count > log.limit:
                    count = min(count, self._fitting(fd))
                copy = b""
                append = log.must_append
                if count and (tee is not None or append):
                    copy = self._peeker.peek(fd, count)
                    if append:  # whole lines, for somebody else's may come after each piece
                        copy = copy[: copy.rfind(b"\n") + 1 or (0 if moved else len(copy))]
                    count = len(copy)
                if not count:
                    break
                size = self._append(fd, copy) if append else log.splice(fd, count)
                moved += size
                if tee is not None:
                    tee.feed(copy[:size])
                if size < count:
                    break
        except BlockingIOError:
            pass  # the pipe is empty
        except OSError:
            if not moved:
                raise
        if moved:
            log.notify_appended()
        return moved

    def _append(self, fd: int, data: bytes) -> int:
        """Write what is at the head of the pipe and take it out; return how much. Raises OSError.

        A death in between has the next daemon write it again: better twice than over what somebody
        else has written.
        """
        size = self._log.write(data)
        os.read(fd, size)
        return size

    def _fitting(self, fd: int) -> int:
        """Return how many bytes may go into the live file now, after rotating it if none may.

        0 if the pipe is empty.
        """
        log, peek = self._log, self._peeker.peek
        available = bytes_in_pipe(fd)
        room = log.limit - log.size
        if not available or available <= room:
            return available
        if room > MAX_PEEK:
            return room - MAX_PEEK  # what is left can be looked through for the end of a line
        if room > 0:
            head = peek(fd, room)
            whole = head.rfind(b"\n") + 1
            if whole or not log.size:
                return whole or len(head)
        if not log.ends_in_newline() and log.size < log.hard_limit:
            head = peek(fd, log.hard_limit - log.size)
            return head.find(b"\n") + 1 or len(head)
        return self._fitting(fd) if log.rotate(MAX_RENAMES) else 0

    def mark(self, line: bytes) -> bool:
        """See `Sink.mark`. The whole line or nothing of it: a disk may have room for a little."""
        log = self._log
        log.check()
        if log.limit and log.size and log.size + len(line) > log.limit:
            log.rotate()
        data = line if log.ends_in_newline() else b"\n" + line
        before = log.size
        written = log.write(data)
        if written < len(data):
            if log.size == before + written:
                log.size = before
                os.ftruncate(log.fd, before)
                os.lseek(log.fd, 0, os.SEEK_END)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        log.notify_appended()
        return True

    def finish(self) -> None:
        """See `Sink.finish`."""
        if self._tee is not None:
            self._tee.finish()

    def close(self) -> None:
        """See `Sink.close`."""
        self._log.close()
        if self._tee is not None:
            self._tee.close()
