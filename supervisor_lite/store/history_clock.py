"""By which time history is too old: that of the wall, but no faster than time passes.

A wall clock that is wrong when a daemon starts (a dead battery, a restored snapshot, a typo) would
make all of the history too old at once. So this clock goes on from where it last stood, which is
in the journal, by the time that has really passed; what it is behind, because no daemon ran, it
makes up at double speed. Too much may be kept for a while, bounded by number, and never too little.
"""

from __future__ import annotations

import time
from collections.abc import Callable


def since_boot() -> float:
    """Return the seconds since the machine was started, those of its sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class HistoryClock:
    """The time that ages are counted to, in seconds since the epoch."""

    def __init__(
        self,
        stood: float,
        wall: Callable[[], float],
        passed: Callable[[], float] = since_boot,
    ) -> None:
        """`stood` is what it last showed; `passed` shows real time, from any begin."""
        self._wall = wall
        self._passed = passed
        self._stood = min(stood, wall())
        self._behind = wall() - self._stood
        """What is to be made up, as far as the wall clock is right."""
        self._at = passed()

    def now(self) -> float:
        """Return the time; it never goes back, and is never ahead of the wall clock's."""
        passed = self._passed() - self._at
        made_up = min(passed, self._behind)
        self._at += passed
        self._behind -= made_up
        self._stood += passed + made_up
        return min(self._stood, self._wall())
