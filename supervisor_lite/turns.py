"""What is due is done in turns, so that clients are answered in between.

A spawn takes a good part of a millisecond. A thousand that are due at once would leave the control
socket without an answer for a second; so a turn of the loop is given 10 ms of them, and what is
left comes in the next turns, in the order in which it was due.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from supervisor_lite.process import Process

_TURN = 0.01
"""Seconds of such work in one turn of the loop."""


class Turns:
    """Who waits for a turn. `act` is called for each whose turn has come."""

    def __init__(self, loop: asyncio.AbstractEventLoop, act: Callable[[Process], None]) -> None:
        self._loop = loop
        self._act = act
        self._waiting: deque[Process] = deque()
        self._queued: set[Process] = set()
        self._ends: float | None = None
        """When the present turn is over; None between turns."""

    def has(self, process: Process) -> bool:
        """Does the process wait for its turn?"""
        return process in self._queued

    def is_now(self, process: Process) -> bool:
        """Tell whether the process may act now; if not, it has been put in the queue."""
        if not self._queued and self._has_time():
            return True
        if process not in self._queued:
            self._queued.add(process)
            self._waiting.append(process)
        return False

    def _has_time(self) -> bool:
        now = time.monotonic()
        if self._ends is None:
            self._ends = now + _TURN
            self._loop.call_soon(self._next)
        return now < self._ends

    def _next(self) -> None:
        self._ends = None
        while self._waiting and self._has_time():
            process = self._waiting.popleft()
            self._queued.discard(process)
            self._act(process)
