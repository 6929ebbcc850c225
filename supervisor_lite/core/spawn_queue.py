"""Processes that are due to be spawned wait here, so that clients are answered in between.

A spawn takes a good part of a millisecond. A thousand that are due at once would leave the control
socket without an answer for a second; so an iteration of the event loop gets a batch of a few of
them, in the order in which they became due, and their intents share one commit of the journal.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice

from supervisor_lite.core.clock import Clock
from supervisor_lite.core.process import Process

MAX_BATCH = 16
"""Processes in one iteration of the loop, at most."""

_MAX_SECONDS = 0.01
"""What a batch should take: where a spawn is slow, the next batch is smaller."""


class SpawnQueue:
    """A queue in front of `spawn`, which is called with one batch per iteration of the loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        spawn: Callable[[list[Process]], None],
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._spawn = spawn
        self._waiting: dict[Process, None] = {}
        """In the order in which they came."""
        self._scheduled = False
        self._size = MAX_BATCH
        self._done = 0
        """Processes that have left the queue, ever."""
        self._callbacks: deque[tuple[int, Callable[[], None]]] = deque()
        """Whom to call when so many have left it."""

    def __contains__(self, process: Process) -> bool:
        """Is the process waiting?"""
        return process in self._waiting

    def add(self, process: Process) -> None:
        """Have it spawned soon; one that waits already keeps its place."""
        self._waiting.setdefault(process)
        self._schedule()

    def call_when_spawned(self, callback: Callable[[], None]) -> None:
        """Call when everybody who waits now has left the queue; at once if nobody waits."""
        if self._waiting:
            self._callbacks.append((self._done + len(self._waiting), callback))
        else:
            callback()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run_batch)

    def _run_batch(self) -> None:
        self._scheduled = False
        batch = list(islice(self._waiting, self._size))
        if not batch:
            return  # closed meanwhile
        for process in batch:
            del self._waiting[process]
        if self._waiting:
            self._schedule()
        began = self._clock.monotonic()
        try:
            self._spawn(batch)
        finally:
            took = max(self._clock.monotonic() - began, 1e-6)
            self._size = max(1, min(MAX_BATCH, int(len(batch) * _MAX_SECONDS / took)))
            self._done += len(batch)
            while self._callbacks and self._callbacks[0][0] <= self._done:
                self._callbacks.popleft()[1]()

    def close(self) -> None:
        """Spawn nobody any more."""
        self._waiting.clear()
        self._callbacks.clear()
