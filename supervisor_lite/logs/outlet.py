"""Write lines to what may stop taking any: stderr, a terminal, a FIFO. Nobody is ever waited for.

Who reads it may have stalled: a container's log driver, Ctrl-S on a terminal, a full pipe. Then
lines are dropped and counted, and as soon as it flows again one line says how many. Nothing is done
meanwhile but to wait for room, in the event loop if there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import stat
import time
from collections.abc import Callable
from typing import Final

from supervisor_lite.logs.devices import DISK, append, open_device, put_now

PATIENCE: Final = 2.0
"""Seconds for which the end of a daemon that cannot start waits for who reads why."""


class Outlet:
    """A place for whole lines that is no file of our own.

    `gone` tells that nobody is there any more, and `lost` how many lines were dropped.
    """

    __slots__ = ("_fd", "_loop", "_missing", "_notice", "_put", "_rest", "_shared", "gone", "lost")

    def __init__(self, path: str, notice: Callable[[int], bytes]) -> None:
        """`notice` makes the line about so many lines. What cannot be opened is `gone`."""
        self._notice = notice
        self._fd = -1
        self._loop: asyncio.AbstractEventLoop | None = None
        """Where room is waited for."""
        self._missing = 0
        self._rest = b""
        """What is to be written of a line of which only a part was taken."""
        self.gone = False
        self.lost = 0
        try:
            self._fd, self._shared = open_device(path)
            regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
        except OSError:
            self.gone = True
            return
        self._put = append if regular else os.write

    def is_same(self, other: Outlet) -> bool:
        """Tell whether both lead to one place."""
        if self.gone or other.gone:
            return False
        return os.path.samestat(os.fstat(self._fd), os.fstat(other._fd))

    def write(self, data: bytes, lines: int = 1) -> None:
        """Write whole lines, or drop them; never raises."""
        if self.gone:
            return
        try:
            self._catch_up()
            self._stop_waiting()
            self._send(data)
        except OSError as error:
            self._on_error(error)
            if not self.gone:
                self._missing += lines
                self.lost += lines

    def _on_error(self, error: OSError) -> None:
        if isinstance(error, BlockingIOError):
            self._wait()
        elif error.errno not in DISK:
            self.gone = True
            self._stop_waiting()

    def _send(self, data: bytes) -> None:
        """Write a line; keep for later what is not taken of it. Raises OSError if nothing is."""
        written = put_now(self._fd, self._shared, data, self._put)
        self._rest = data[written:]
        if self._rest:
            self._wait()

    def _catch_up(self) -> None:
        """Finish the line that was begun, and say what is missing. Raises OSError."""
        while self._rest:
            self._rest = self._rest[put_now(self._fd, self._shared, self._rest, self._put) :]
        if self._missing:
            self._send(self._notice(self._missing))
            self._missing = 0

    def _wait(self) -> None:
        if self._loop is None:
            with contextlib.suppress(RuntimeError, OSError):  # no loop runs; it is a file
                loop = asyncio.get_running_loop()
                loop.add_writer(self._fd, self._on_writable)
                self._loop = loop

    def _on_writable(self) -> None:
        try:
            self._catch_up()
        except OSError as error:
            self._on_error(error)
        else:
            if not self._rest:
                self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_writer(self._fd)
        self._loop = None

    def close(self) -> None:
        """Close it, after a last try to say what is missing."""
        if not self.gone:
            with contextlib.suppress(OSError):
                self._catch_up()
        self.gone = True
        self._stop_waiting()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def tell(text: str, patience: float = PATIENCE) -> None:
    """Write to stderr why there is no daemon, or what to know of it; wait at most so many seconds.

    Who reads it may have stalled, and an end that nobody sees must come all the same.
    """
    data = text.encode(errors="backslashreplace")
    end = time.monotonic() + patience
    with contextlib.suppress(OSError):
        fd, shared = open_device("/dev/stderr")
        put = append if stat.S_ISREG(os.fstat(fd).st_mode) else os.write
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        while data:
            left = max(0.0, end - time.monotonic())
            if not poll.poll(left * 1000):
                break
            with contextlib.suppress(BlockingIOError):
                data = data[put_now(fd, shared, data, put) :]
        os.close(fd)
