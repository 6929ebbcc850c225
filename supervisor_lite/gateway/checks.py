"""Which password is checked next: one at a time, and those first who have not guessed lately.

A check is slow on purpose, so somebody who guesses could keep all others waiting. What counts is
who asks: an address, and the name of the user (all names that nobody has are one). Of each only
a few may wait. A check that was right, or that is the first, goes before those of who was wrong
before.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

MAX_WAITING = 4
"""Passwords that may wait, of one user from one address."""

MEMORY = 60.0
"""Seconds for which a wrong password is remembered."""

_MAX_REMEMBERED = 4096

Key = tuple[str, str]
"""An address and the name of a user."""


@dataclass(eq=False, slots=True)
class _Check:
    key: Key
    turn: asyncio.Future[None]


class Checks:
    """Gives turns to those who wait."""

    def __init__(self) -> None:
        self._checking = False
        self._waiting: list[_Check] = []
        self._wrong: dict[Key, tuple[int, float]] = {}
        """How often a key was wrong, and when last."""

    async def begin(self, key: Key) -> bool:
        """Wait for the turn to check; False if too many of this key wait already."""
        if not self._checking:
            self._checking = True
            return True
        if Counter(each.key for each in self._waiting)[key] >= MAX_WAITING:
            return False
        mine = _Check(key, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        try:
            await mine.turn
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            else:
                self._next()
            raise
        return True

    def end(self, key: Key, *, right: bool) -> None:
        """Note how the check went, and let the next one begin."""
        if right:
            self._wrong.pop(key, None)
        else:
            count = self._failures(key) + 1
            if len(self._wrong) >= _MAX_REMEMBERED:
                self._wrong.clear()
            self._wrong[key] = (count, time.monotonic())
        self._next()

    def _next(self) -> None:
        self._waiting = [each for each in self._waiting if not each.turn.done()]
        if not self._waiting:
            self._checking = False
            return
        # The first of those that have failed least.
        mine = min(self._waiting, key=lambda each: self._failures(each.key))
        self._waiting.remove(mine)
        mine.turn.set_result(None)

    def _failures(self, key: Key) -> int:
        count, when = self._wrong.get(key, (0, 0.0))
        return count if time.monotonic() - when < MEMORY else 0
