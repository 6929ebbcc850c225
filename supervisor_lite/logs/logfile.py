"""One log file on disk: open, rotate, reopen, clear, and notify those who follow it.

The file is not opened for appending, because splice(2) refuses that; its offset is kept at the end
instead. Where it turns out that somebody else writes to the file, too, every write appends from
then on (RWF_APPEND, pwritev2(2)).

Every byte that ever went into the log has a *position*, counted through all rotations: the live
file begins at `origin`, the next byte comes to `end`. Followers remember a position.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Final

from supervisor_lite import safe_paths
from supervisor_lite.logs import live
from supervisor_lite.logs.holes import close_hole, start_of_hole, tail_of
from supervisor_lite.logs.listener import LogListener
from supervisor_lite.logs.rotated import RotatedFiles
from supervisor_lite.model.constants import MIB

MAX_LINE: Final = MIB
"""Bytes by which a file may grow beyond its limit to finish the line that has begun in it."""

EMPTIED_AGAIN: Final = 10.0
"""Seconds after it was emptied by somebody else for which a file is appended to, not spliced."""


class LogFile:
    """A log file and its rotated predecessors `.1` (the newest), `.2` …

    `limit` is the size at which it is rotated, 0 for never: `maxbytes`, or more where the file was
    larger already or could not be rotated. `chain` tells how many rotated files are known to hold
    exactly what came before the live one.
    """

    __slots__ = (
        "_emptied", "_listeners", "_mode", "_report", "_rotated", "_rotation_failed", "_shared",
        "backups", "chain", "fd", "limit", "maxbytes", "origin", "path", "size",
    )  # fmt: skip

    def __init__(
        self,
        path: str,
        maxbytes: int,
        backups: int,
        report: Callable[[str], None],
        *,
        mode: int = 0o644,
    ) -> None:
        """`mode` is that of files that are made, less the umask."""
        self.path = path
        self._mode = mode
        self.maxbytes = maxbytes
        self.backups = backups
        self._report = report
        self.fd = -1
        self.size = 0
        self.origin = 0
        self.limit = maxbytes
        self.chain = 0
        self._shared = False
        """Somebody else has written to it, and may do so again."""
        self._emptied = 0.0
        """Somebody has emptied it, and may do so again until then (monotonic)."""
        self._rotated = RotatedFiles()
        self._rotation_failed = False
        self._listeners: tuple[LogListener, ...] = ()

    @property
    def end(self) -> int:
        """The position of the next byte."""
        return self.origin + self.size

    @property
    def hard_limit(self) -> int:
        """The size at which even an unfinished line is cut."""
        return self.limit + min(self.maxbytes, MAX_LINE)

    # Opening and closing

    def open(self) -> None:
        """Open the live file, make it if there is none; raises OSError."""
        if self.fd < 0:
            self._continue_in(live.open_at_end(self.path, self._mode))

    def close(self) -> None:
        """Close the live file; followers keep what they have not read yet."""
        if self.fd >= 0:
            for listener in self._listeners:
                listener.on_rotate(self.fd, self.origin, self.end)
            os.close(self.fd)
            self.fd = -1
        self.origin += self.size
        self.size = 0

    def _continue_in(self, fd: int) -> None:
        """Go on in another file; what it holds already counts as come before."""
        end = self.end
        self.fd = fd
        self.size = os.lseek(fd, 0, os.SEEK_END)
        self.origin = end - self.size
        self.limit = max(self.maxbytes, self.size) if self.maxbytes else 0

    def check(self) -> None:
        """Put right what others did: the file deleted, cut, grown. Raises OSError.

        Called before each write, so it is one cheap system call when nothing is wrong.
        """
        if self.fd >= 0:
            status = os.fstat(self.fd)
            if status.st_nlink:
                if status.st_size != self.size:
                    self._adjust(status.st_size)
                return
            self.close()
            self.chain = 0
        self._continue_in(live.open_or_make_directory(self.path, self._mode, self._report))

    def _adjust(self, size: int) -> None:
        """Take the size that somebody else gave the file, so that no hole is left in it."""
        if size < self.size:
            self._cut_to(size)
        elif not self._shared:
            self._shared = True
            self._report(f'"{self.path}": somebody else writes to it, too; it is appended to')
        self.size = os.lseek(self.fd, 0, os.SEEK_END)

    def _cut_to(self, size: int) -> None:
        """Have only so many bytes left, because somebody else has emptied it."""
        self.origin, self.size = self.end - size, size
        self.chain = 0
        self._emptied = time.monotonic() + EMPTIED_AGAIN

    @property
    def must_append(self) -> bool:
        """Must every write go by `write`, because others are at work on this file?"""
        return self._shared or (self._emptied > 0 and time.monotonic() < self._emptied)

    def splice(self, fd: int, count: int) -> int:
        """Move bytes out of a pipe to the end of the file; return how many. Raises OSError.

        Nothing of the file is left as a hole if somebody empties it in this instant.
        """
        before, tail = self.size, tail_of(self.fd, self.size)
        size = os.splice(fd, self.fd, count, flags=os.SPLICE_F_NONBLOCK)
        self.size += size
        start = start_of_hole(self.fd, before, tail) if before else -1
        if start >= 0:
            self._cut_to(close_hole(self.fd, start, before, size))
        return size

    def write(self, data: bytes | memoryview) -> int:
        """Write at the end of the file, wherever others have moved it; return how many bytes.

        Raises OSError.
        """
        written = os.pwritev(self.fd, [data], -1, os.RWF_APPEND)
        self.size = os.lseek(self.fd, 0, os.SEEK_CUR)
        return written

    def reopen(self) -> None:
        """Open the path again, because somebody has moved the file away; raises OSError.

        If that fails, writing goes on in the old file.
        """
        self._rotated.forget()
        if self.fd < 0:
            return
        fd = live.open_at_end(self.path, self._mode)
        if os.path.sameopenfile(fd, self.fd):
            os.close(fd)
            return
        self._replace(fd)

    def change(self, path: str, maxbytes: int, backups: int) -> None:
        """Take a new path and new limits from the next byte on.

        Raises OSError if the new file cannot be opened; then nothing has changed.
        """
        if path != self.path:
            fd = live.open_at_end(path, self._mode) if self.fd >= 0 else -1
            self.close()
            self.path = path
            self.chain = 0
            self._shared = False
        else:
            fd = -1
        self._rotated.forget()
        self.maxbytes = maxbytes
        self.backups = backups
        self.limit = max(maxbytes, self.size) if maxbytes else 0
        if fd >= 0:
            self._continue_in(fd)

    # Writing

    def append(self, data: bytes) -> None:
        """Write whole lines of our own, rotating first if they do not fit; raises OSError."""
        self.check()
        if self.limit and self.size and self.size + len(data) > self.limit:
            self.rotate()
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self.write(rest) :]
        finally:
            self.notify_appended()

    def notify_appended(self) -> None:
        """Tell the followers that something was written."""
        for listener in self._listeners:
            listener.on_append()

    def ends_in_newline(self) -> bool:
        """Tell whether the last line of the live file is finished; raises OSError."""
        return self.size == 0 or os.pread(self.fd, 1, self.size - 1) == b"\n"

    # Rotating and clearing

    def rotate(self, renames: int | None = None) -> bool:
        """Move the live file to `.1` and begin a new one; never raises.

        With `renames` at most so many files are renamed; False: it has to be called again. If it
        cannot be done, this is reported and the file grows until the next try, another `maxbytes`
        later.
        """
        try:
            fd = self._begin_anew(renames or self.backups)
            if fd < 0:
                return False
        except OSError as error:
            if not self._rotation_failed:
                text = f'cannot rotate "{self.path}": {error.strerror}; it grows beyond its limit'
                self._report(text)
            self._rotation_failed = True
            self.limit = self.size + self.maxbytes
            return True
        self._rotation_failed = False
        self._replace(fd)
        return True

    def _begin_anew(self, renames: int) -> int:
        """Move the live file away and return a new one, in the same directory. Raises OSError.

        -1: that takes more renames. If somebody has moved it away, or exchanged the directory,
        nothing is moved.
        """
        try:
            with safe_paths.at(self.path) as place:
                if self._is_ours(safe_paths.file_status(self.path)):
                    if not self._rotated.take_in(place, self.backups, renames):
                        return -1
                    return live.open_in(place, self._mode)
        except FileNotFoundError:
            pass
        return live.open_or_make_directory(self.path, self._mode, self._report)

    def _replace(self, fd: int) -> None:
        """Go on in another file; the old one may be the rotated one now."""
        moved = False
        with contextlib.suppress(OSError), safe_paths.at(f"{self.path}.1") as place:
            moved = self._is_ours(place.status())
        self.close()
        # One that somebody else goes on writing to holds more than what came before.
        keeps = moved and not self._shared
        self.chain = min(self.chain + 1, self.backups) if keeps else 0
        self._continue_in(fd)

    def _is_ours(self, status: os.stat_result | None) -> bool:
        """Tell whether a file is the one that is written to."""
        return status is not None and os.path.samestat(status, os.fstat(self.fd))

    def clear(self) -> None:
        """Empty the live file and delete the rotated ones; raises OSError."""
        self._rotated.remove(self.path, self.backups)
        self.chain = 0
        if self.fd >= 0:
            os.ftruncate(self.fd, 0)
            os.lseek(self.fd, 0, os.SEEK_SET)
            self.origin, self.size = self.end, 0
            self.limit = self.maxbytes
        else:
            live.empty(self.path)
        for listener in self._listeners:
            listener.on_truncate(self.end)

    # Followers

    def attach(self, listener: LogListener) -> None:
        """Notify a follower of everything from now on."""
        self._listeners += (listener,)

    def detach(self, listener: LogListener) -> None:
        """Notify a follower no more."""
        self._listeners = tuple(other for other in self._listeners if other is not listener)
