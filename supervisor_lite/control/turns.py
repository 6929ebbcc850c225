"""Whose requests are served in which iteration of the event loop.

Between two iterations the daemon answers deaths, timers and output. So whatever clients ask, an
iteration serves them for a moment only; who has to wait is served in one of the next ones, users by
turns. Callers that are trusted do not wait. Nothing is scheduled while nobody waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

BUDGET = 0.02
"""Seconds of each iteration for requests; the last one may take longer."""


class Turns:
    """Shares the iterations of the event loop among users."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.now = loop.time
        self._left = BUDGET
        self._renewing = False
        self._waiting: dict[int, deque[Callable[[], None]]] = {}
        """By user, in the order in which they are served next."""

    def is_free(self) -> bool:
        """May something be served in this iteration that has not waited?"""
        return self._left > 0 and not self._waiting

    def spend(self, seconds: float) -> None:
        """Note that something was served, and how long that took."""
        self._left -= seconds
        self._renew_soon()

    def wait(self, uid: int, serve: Callable[[], None]) -> None:
        """Call `serve` when it is the user's turn."""
        self._waiting.setdefault(uid, deque()).append(serve)
        self._renew_soon()

    async def turn(self, uid: int) -> None:
        """Return when it is the user's turn; what follows, up to the next await, is served."""
        turn = self._loop.create_future()

        def begin() -> None:
            if not turn.done():
                turn.set_result(None)
                self._left = 0.0  # how long it will take is not known: it has an iteration alone

        self.wait(uid, begin)
        await turn

    def _renew_soon(self) -> None:
        if not self._renewing:
            self._renewing = True
            self._loop.call_soon(self._renew)

    def _renew(self) -> None:
        """Begin with another iteration: serve those that wait, as long as there is time."""
        self._renewing = False
        self._left = BUDGET
        while self._waiting and self._left > 0:
            uid = next(iter(self._waiting))
            queue = self._waiting.pop(uid)
            serve = queue.popleft()
            if queue:
                self._waiting[uid] = queue  # behind the others
            started = self._loop.time()
            serve()
            self._left -= self._loop.time() - started
        if self._waiting:
            self._renew_soon()
