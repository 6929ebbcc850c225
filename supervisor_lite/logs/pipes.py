"""One epoll for the FIFOs of all programs: a single descriptor in the event loop.

The loop is woken once for all FIFOs that hold something. That costs less per wake-up, and far less
per program that starts, than a reader of its own in the loop for each of them.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Final

from supervisor_lite.logs.peek import Peeker
from supervisor_lite.logs.prefix import OpenLines

_MAX_EVENTS: Final = 64
"""FIFOs that are read before the loop turns to others; the kernel names the next ones next."""


class Pipes:
    """Calls back when there is something in a FIFO (epoll(7)).

    There is one for each event loop that captures output. What all streams of that loop share is
    held here: the pipe for looking ahead, and which lines have no end yet.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.peeker = Peeker()
        self.open_lines = OpenLines()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._epoll = select.epoll()
        loop.add_reader(self._epoll.fileno(), self._ready)

    def watch(self, fd: int, callback: Callable[[], None], *, only_new: bool = False) -> None:
        """Call back while there is something to read; with `only_new` only when more has come.

        A second call for a descriptor replaces the first.
        """
        events = select.EPOLLIN | (select.EPOLLET if only_new else 0)
        if fd in self._callbacks:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def unwatch(self, fd: int) -> None:
        """Call back no more, if this descriptor is watched; it must still be open."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def _ready(self) -> None:
        for fd, _ in self._epoll.poll(0, _MAX_EVENTS):
            callback = self._callbacks.get(fd)
            if callback is None:
                continue  # an earlier callback has unwatched it
            try:
                callback()
            except Exception as error:  # noqa: BLE001 a bug with one FIFO must not stop the others
                context = {"message": "cannot read a FIFO", "exception": error}
                self.loop.call_exception_handler(context)

    def close(self) -> None:
        """Watch nothing any more."""
        self.loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._callbacks.clear()
        self.peeker.close()
