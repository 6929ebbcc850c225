"""Write captured output to what is no regular file: a terminal, a pipe, the daemon's stdout."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import stat
from collections.abc import Callable
from typing import Final

from supervisor_lite.logs.loss import Loss
from supervisor_lite.logs.peek import MAX_PEEK
from supervisor_lite.logs.pipes import Pipes
from supervisor_lite.logs.prefix import ATOMIC, Prefixer
from supervisor_lite.safe_paths import file_status, open_file
from supervisor_lite.special_files import standard_number

DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG})


class DeviceSink:
    """Writes to something that is not a regular file: the daemon's stdout, a terminal, a pipe.

    Whole lines in small pieces, so that programs that share it do not cut each other's lines. A
    reader that is slow makes the program wait; one that is gone makes its output disappear. With a
    `prefix`, every line begins with it.
    """

    __slots__ = (
        "_fd", "_gone", "_in_line", "_loss", "_peeker", "_prefixer", "_put", "_report", "_shared",
        "blocked_on", "name",
    )  # fmt: skip

    undecided = 0

    def __init__(
        self,
        path: str,
        pipes: Pipes,
        report: Callable[[str], None],
        prefix: str = "",
        loss: Loss | None = None,
    ) -> None:
        """Open it; raises OSError."""
        self.name = path
        self._loss = loss or Loss()
        self._in_line = False
        """What was written last had no end of line."""
        self._peeker = pipes.peeker
        self._report = report
        self._gone = False
        self.blocked_on = -1
        self._fd, self._shared = open_device(path)
        regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._put = append if regular else os.write
        self._prefixer = (
            Prefixer(prefix, self._fd, pipes.open_lines, self._put_now) if prefix else None
        )

    def transfer(self, fd: int, budget: int) -> int:
        """See `Sink.transfer`."""
        self.blocked_on = -1
        moved = 0
        while moved < budget:
            if self._gone:
                data = _read(fd)
                size = len(data)
                if data:
                    self._loss.drop(data)
            else:
                head = self._peeker.peek(fd, budget - moved)
                whole = head.rfind(b"\n") + 1
                if moved and not whole:
                    break  # the rest of this line may have come by the next turn
                size = self._write(head[: whole or len(head)])
                if size:
                    os.read(fd, size)
                    self._in_line = head[size - 1] != 10
            if not size:
                break
            moved += size
            if self.blocked_on >= 0:
                break
        return moved

    def _write(self, data: bytes) -> int:
        """Write what can be written now and return how much that was; raises OSError for disks."""
        done = 0
        try:
            while done < len(data):
                if self._prefixer is not None:
                    done += self._prefixer.write(self._fd, data, done)
                    continue
                cut = data.rfind(b"\n", done, done + ATOMIC) + 1 or done + ATOMIC
                done += self._put_now(self._fd, data[done:cut])
        except BlockingIOError:
            self.blocked_on = self._fd
        except OSError as error:
            # What was written so far must leave the FIFO before an error is dealt with.
            if not done:
                self._failed(error)
        return done

    def _put_now(self, fd: int, data: bytes) -> int:
        return put_now(fd, self._shared, data, self._put)

    def _failed(self, error: OSError) -> None:
        if error.errno in DISK and stat.S_ISREG(os.fstat(self._fd).st_mode):
            raise error
        self._gone = True
        reason = error.strerror or str(error)
        self._report(f'cannot write "{self.name}": {reason}; output is dropped from now on')
        self._loss.begin(self.name, reason)

    def mark(self, line: bytes) -> bool:
        """See `Sink.mark`."""
        if self._gone:
            return False
        self.blocked_on = -1
        written = self._write(b"\n" * self._in_line + line)
        self._in_line = self._in_line and not written
        return written > 0

    def finish(self) -> None:
        """Nothing is held back here, but the line is over."""
        if self._prefixer is not None:
            self._prefixer.finish()

    def close(self) -> None:
        """See `Sink.close`."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def put_now(fd: int, shared: int, data: bytes, put: Callable[[int, bytes], int]) -> int:
    """Write what can be written now, return how much; BlockingIOError if that is nothing.

    `shared` are the flags of a description that others have, too, and that blocks: it does not for
    the moment of the write, and only if there is room, for a shell would not like what it reads.
    """
    if not shared:
        return put(fd, data)
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    if not poll.poll(0):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    fcntl.fcntl(fd, fcntl.F_SETFL, shared | os.O_NONBLOCK)
    try:
        return put(fd, data)
    finally:
        fcntl.fcntl(fd, fcntl.F_SETFL, shared)


def append(fd: int, data: bytes) -> int:
    """Write at the end of a file, also if it was emptied or others write to it. Raises OSError."""
    return os.pwritev(fd, [data], -1, os.RWF_APPEND)


def _read(fd: int) -> bytes:
    with contextlib.suppress(BlockingIOError):
        return os.read(fd, MAX_PEEK)
    return b""


def open_device(path: str) -> tuple[int, int]:
    """Return a descriptor, and its flags if it is shared and blocking, else 0; raises OSError.

    An own description is best, because whether it blocks can be set without others noticing.
    Sockets cannot be opened again, nor can another user's terminal.
    """
    flags = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    number = standard_number(path)
    if number is None:
        # Opened for reading too: a FIFO without a reader would refuse a mere writer.
        status = file_status(path)
        mode = status.st_mode if status is not None else 0
        way = os.O_RDWR if stat.S_ISFIFO(mode) else os.O_WRONLY
        return open_file(path, way | os.O_APPEND if stat.S_ISREG(mode) else way), 0
    mode = os.fstat(number).st_mode
    if number > 2 and not os.get_inheritable(number):
        # One that the daemon has opened itself: its journal, a socket.
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
        with contextlib.suppress(OSError):
            return os.open(f"/proc/self/fd/{number}", flags | os.O_WRONLY), 0
    own = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)
    shared = fcntl.fcntl(own, fcntl.F_GETFL)
    return own, 0 if stat.S_ISREG(mode) or shared & os.O_NONBLOCK else shared
