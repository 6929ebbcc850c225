"""Clients that have shut down their sending side and still read, until they are gone.

`printf … | nc -N -U supervisor.sock` sends its request and then nothing more (shutdown(2)), but
wants the answer. For reading, such a client looks like one that has hung up; poll(2) tells them
apart: POLLHUP is there when both directions are closed.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable


class HangUps:
    """Waits for clients to be gone of whom nothing can be read any more.

    The event loop has no way to wait for that alone: asked whether such a socket can be read it
    says yes for ever. So they have an epoll(7) of their own, which the loop waits for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll: select.epoll | None = None
        self._gone: dict[int, Callable[[], None]] = {}

    def watch(self, fd: int, gone: Callable[[], None]) -> None:
        """Call `gone` when the client has hung up, once."""
        if self._epoll is None:
            self._epoll = select.epoll()
            self._loop.add_reader(self._epoll.fileno(), self._look)
        self._epoll.register(fd, 0)  # EPOLLHUP comes unasked
        self._gone[fd] = gone

    def forget(self, fd: int) -> None:
        """Watch it no more; to be called before it is closed."""
        if self._gone.pop(fd, None) is not None and self._epoll is not None:
            self._epoll.unregister(fd)

    def close(self) -> None:
        """Watch nobody any more."""
        if self._epoll is not None:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None
        self._gone.clear()

    def _look(self) -> None:
        assert self._epoll is not None
        for fd, _ in self._epoll.poll(0):
            gone = self._gone[fd]
            self.forget(fd)
            gone()
