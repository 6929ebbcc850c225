"""One log file on disk: open, rotate, reopen, clear, and notify those who follow it.

The daemon is the only writer. The file is not opened for appending, because splice(2) refuses
that; its offset is kept at the end instead.

Every byte that ever went into the log has a *position*, counted through all rotations: the live
file begins at `origin`, the next byte comes to `end`. Followers remember a position.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from typing import Final, Protocol

from supervisor_lite import safe_paths
from supervisor_lite.logs import rotation
from supervisor_lite.model.constants import MIB

MAX_LINE: Final = MIB
"""Bytes by which a file may grow beyond its limit to finish the line that has begun in it."""

_LIVE: Final = os.O_RDWR | os.O_CREAT
"""Flags for a live file. Never blocking, in case that a FIFO has come to be there."""


class LogListener(Protocol):
    """What a follower is to its log file."""

    def on_append(self) -> None:
        """There is more to read."""

    def on_rotate(self, fd: int, origin: int, end: int) -> None:
        """The open file, which holds `origin` to `end`, is complete and about to be closed."""

    def on_truncate(self, position: int) -> None:
        """Everything before `position` is gone because an operator wanted it so."""


class LogFile:
    """A log file and its rotated predecessors `.1` (the newest), `.2` …

    `limit` is the size at which it is rotated, 0 for never: `maxbytes`, or more where the file was
    larger already or could not be rotated. `chain` tells how many rotated files are known to hold
    exactly what came before the live one.
    """

    __slots__ = (
        "_listeners", "_report", "_rotation_failed", "backups", "chain", "fd", "limit", "maxbytes",
        "origin", "path", "size",
    )  # fmt: skip

    def __init__(
        self, path: str, maxbytes: int, backups: int, report: Callable[[str], None]
    ) -> None:
        self.path = path
        self.maxbytes = maxbytes
        self.backups = backups
        self._report = report
        self.fd = -1
        self.size = 0
        self.origin = 0
        self.limit = maxbytes
        self.chain = 0
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
            self._continue_in(_open_at_end(self.path))

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
        self._continue_in(self._open_or_make_directory())

    def _open_or_make_directory(self) -> int:
        try:
            return _open_at_end(self.path)
        except FileNotFoundError:
            directory = os.path.dirname(self.path)
            if safe_paths.make_directories(directory):
                self._report(f'log directory "{directory}" had vanished and was made anew')
            return _open_at_end(self.path)

    def _adjust(self, size: int) -> None:
        """Take the size that somebody else gave the file, so that no hole is left in it."""
        if size < self.size:
            self.origin = self.end - size
            self.chain = 0
        self.size = os.lseek(self.fd, 0, os.SEEK_END)

    def reopen(self) -> None:
        """Open the path again, because somebody has moved the file away; raises OSError.

        If that fails, writing goes on in the old file.
        """
        if self.fd < 0:
            return
        fd = _open_at_end(self.path)
        if os.path.sameopenfile(fd, self.fd):
            os.close(fd)
            return
        self._replace(fd)

    def change(self, path: str, maxbytes: int, backups: int) -> None:
        """Take a new path and new limits from the next byte on.

        Raises OSError if the new file cannot be opened; then nothing has changed.
        """
        if path != self.path:
            fd = _open_at_end(path) if self.fd >= 0 else -1
            self.close()
            self.path = path
            self.chain = 0
        else:
            fd = -1
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
                written = os.write(self.fd, rest)
                self.size += written
                rest = rest[written:]
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

    def rotate(self) -> None:
        """Move the live file to `.1` and begin a new one; never raises.

        If that cannot be done, this is reported and it grows until the next try, another `maxbytes`
        later.
        """
        try:
            fd = self._begin_anew()
        except OSError as error:
            if not self._rotation_failed:
                text = f'cannot rotate "{self.path}": {error.strerror}; it grows beyond its limit'
                self._report(text)
            self._rotation_failed = True
            self.limit = self.size + self.maxbytes
            return
        self._rotation_failed = False
        self._replace(fd)

    def _begin_anew(self) -> int:
        """Move the live file away and return a new one, in the same directory. Raises OSError.

        If somebody has moved it away, or exchanged the directory, nothing is moved.
        """
        try:
            with safe_paths.at(self.path) as place:
                if self._is_ours(safe_paths.file_status(self.path)):
                    rotation.move_away(place, self.backups)
                    return _checked(place.open(_LIVE))
        except FileNotFoundError:
            pass
        return self._open_or_make_directory()

    def _replace(self, fd: int) -> None:
        """Go on in another file; the old one may be the rotated one now."""
        moved = False
        with contextlib.suppress(OSError), safe_paths.at(f"{self.path}.1") as place:
            moved = self._is_ours(place.status())
        self.close()
        self.chain = min(self.chain + 1, self.backups) if moved else 0
        self._continue_in(fd)

    def _is_ours(self, status: os.stat_result | None) -> bool:
        """Tell whether a file is the one that is written to."""
        return status is not None and os.path.samestat(status, os.fstat(self.fd))

    def clear(self) -> None:
        """Empty the live file and delete the rotated ones; raises OSError."""
        rotation.remove_rotated(self.path, self.backups)
        self.chain = 0
        if self.fd >= 0:
            os.ftruncate(self.fd, 0)
            os.lseek(self.fd, 0, os.SEEK_SET)
            self.origin, self.size = self.end, 0
            self.limit = self.maxbytes
        else:
            with contextlib.suppress(FileNotFoundError):
                fd = _checked(safe_paths.open_file(self.path, os.O_WRONLY))
                try:
                    os.ftruncate(fd, 0)
                finally:
                    os.close(fd)
        for listener in self._listeners:
            listener.on_truncate(self.end)

    # Followers

    def attach(self, listener: LogListener) -> None:
        """Notify a follower of everything from now on."""
        self._listeners += (listener,)

    def detach(self, listener: LogListener) -> None:
        """Notify a follower no more."""
        self._listeners = tuple(other for other in self._listeners if other is not listener)


def _open_at_end(path: str) -> int:
    """Open the live file; raises OSError. The umask takes from the mode 0644."""
    return _checked(safe_paths.open_file(path, _LIVE))


def _checked(fd: int) -> int:
    """Return the descriptor of a regular file; raises OSError for anything else."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "Not a regular file")
    return fd
