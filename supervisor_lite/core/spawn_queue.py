"""Who is to be spawned waits for its turn, so that clients are answered in between.

A spawn takes a good part of a millisecond. A thousand that are due at once would leave the control
socket without an answer for a second; so a turn of the event loop is given a few of them, in the
order in which they became due, and their intents share one commit of the journal.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from itertools import islice

from supervisor_lite.core.process import Process

TURN = 16
"""Processes in one turn of the loop, at most."""

_LONGEST = 0.01
"""Seconds that a turn should take: where a spawn is dear, fewer have their turn."""


class Turns:
    """The queue. `act` is called with those whose turn has come."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, act: Callable[[list[Process]], None]
    ) -> None:
        self._loop = loop
        self._act = act
        self._waiting: dict[Process, None] = {}
        """In the order in which they came."""
        self._planned = False
        self._size = TURN
        self._taken = 0
        self._marks: deque[tuple[int, Callable[[], None]]] = deque()

    def has(self, process: Process) -> bool:
        """Does the process wait for its turn?"""
        return process in self._waiting

    def add(self, process: Process) -> None:
        """Let it act soon; one that waits already keeps its place."""
        self._waiting.setdefault(process)
        self._plan()

    def after_these(self, then: Callable[[], None]) -> None:
        """Call `then` when everybody who waits now has had their turn; at once if nobody does."""
        if self._waiting:
            self._marks.append((self._taken + len(self._waiting), then))
        else:
            then()

    def _plan(self) -> None:
        if not self._planned:
            self._planned = True
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        self._planned = False
        batch = list(islice(self._waiting, self._size))
        if not batch:
            return  # closed meanwhile
        for process in batch:
            del self._waiting[process]
        if self._waiting:
            self._plan()
        began = time.monotonic()
        try:
            self._act(batch)
        finally:
            took = max(time.monotonic() - began, 1e-6)
            self._size = max(1, min(TURN, int(len(batch) * _LONGEST / took)))
            self._taken += len(batch)
            while self._marks and self._marks[0][0] <= self._taken:
                self._marks.popleft()[1]()

    def close(self) -> None:
        """Let nobody act any more."""
        self._waiting.clear()
        self._marks.clear()
