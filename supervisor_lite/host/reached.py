"""Who has been sent the stop signal of a run already: one signal for each process and stop."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from supervisor_lite.host.procfs import Stat

_TICKS = os.sysconf("SC_CLK_TCK")


class Reached(NamedTuple):
    """Those that a stop signal has reached, told apart from who was forked after it.

    The kernel delivers a signal for a process group to whoever is forked at that moment, too, so
    the time at which a process began says whether it was there. That time is counted in clock ticks
    (10 ms): those that began in the tick of the signal have to be known by name.
    """

    before: int
    """The clock tick after boot in which the signal was sent (proc_pid_stat(5), field 22)."""
    group: int | None = None
    """The process group that it was sent to; None: everyone."""
    known: frozenset[tuple[int, int]] = frozenset()
    """Pid and start of those that were seen in that group just before."""

    def covers(self, stat: Stat) -> bool:
        """Has this process been sent the signal?"""
        if (stat.pid, stat.start) in self.known:
            return True
        return stat.start < self.before and self.group in (None, stat.pgrp)


def ticks_at(moment: float) -> int:
    """Return a time of the monotonic clock in clock ticks after boot."""
    past = time.monotonic() - moment
    return int((time.clock_gettime(time.CLOCK_BOOTTIME) - past) * _TICKS)
