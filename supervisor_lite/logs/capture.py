"""Pump one FIFO into one sink, in bounded turns, and wait out a disk that does not take it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

from supervisor_lite.host.syscalls import pipe_capacity
from supervisor_lite.logs.pipes import Pipes
from supervisor_lite.logs.sinks import Sink

TURN: Final = 256 * 1024
"""Bytes moved per wake-up. More makes other programs wait longer and is hardly faster."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 10.0
"""Seconds between two tries to write to a disk that failed."""
_READING: Final = -1
_FOR_MORE: Final = -2
"""What a capture waits for, if it is no descriptor that has to become writable."""


class Capture:
    """One stream of one process on its way out of the FIFO.

    `fd` is the daemon's own description of the FIFO (see `fifo.open_for_reading`); it belongs to
    the capture, as does the sink. `report` gets one text when the sink begins to fail and one when
    it works again; meanwhile the output waits in the pipe, and the program with it.
    """

    __slots__ = ("_pipes", "_report", "_timer", "_waits_on", "fd", "pause", "sink")

    def __init__(self, pipes: Pipes, fd: int, sink: Sink, report: Callable[[str], None]) -> None:
        self._pipes = pipes
        self._report = report
        self.fd = fd
        self.sink = sink
        self._waits_on = _READING
        self.pause = FIRST_PAUSE
        self._timer: asyncio.TimerHandle | None = None
        pipes.watch(fd, self._ready)

    @property
    def failing(self) -> bool:
        """Tell whether output waits because the sink cannot be written."""
        return self._timer is not None

    def drain(self) -> int:
        """Move what is in the pipe now; return how many bytes that was.

        Called when a run has ended: its last words must be in the log before that is told. Bounded
        by what the pipe holds, for leftovers of the run may go on writing.
        """
        most = pipe_capacity(self.fd)
        moved = 0
        while moved < most:
            size = self._turn(most - moved)
            if not size:
                break
            moved += size
        self.sink.finish()
        self._wait()
        return moved

    def retry(self) -> None:
        """Try at once what was to be tried later: something has changed."""
        if self._timer is not None:
            self._turn(TURN)

    def swap(self, sink: Sink) -> None:
        """Go on with another sink from the next byte; the old one is closed."""
        self._unwatch()
        self.sink.close()
        self.sink = sink
        self._pipes.watch(self.fd, self._ready)

    def close(self) -> None:
        """Read no more; what is in the pipe stays there as long as somebody holds it open."""
        self._unwatch()
        os.close(self.fd)
        self.sink.close()

    # Turns

    def _ready(self) -> None:
        self._turn(TURN)

    def _turn(self, budget: int) -> int:
        """Move some bytes and see to it that the next turn comes."""
        try:
            moved = self.sink.take(self.fd, budget)
            if self._timer is not None and 0 < moved < budget:
                # A short turn is also what a disk does that has room for a little.
                moved += self.sink.take(self.fd, budget - moved)
        except OSError as error:
            self._failed(error)
            return 0
        if self._timer is not None:
            self._resumed()
        self._wait()
        return moved

    def _wait(self) -> None:
        """Wait for the FIFO, or for whatever keeps the sink from taking more."""
        waits_on = self.sink.blocked_on
        if waits_on < 0:
            waits_on = _FOR_MORE if self.sink.waits_for else _READING
        if waits_on == self._waits_on or self._timer is not None:
            return
        self._stop_waiting()
        if waits_on >= 0:
            self._pipes.loop.add_writer(waits_on, self._ready)
        else:
            # What waits for more keeps the FIFO readable: what counts is that something is added.
            self._pipes.watch(self.fd, self._ready, news=waits_on == _FOR_MORE)
        self._waits_on = waits_on

    def _stop_waiting(self) -> None:
        if self._waits_on >= 0:
            self._pipes.loop.remove_writer(self._waits_on)
        else:
            self._pipes.unwatch(self.fd)
        self._waits_on = _READING

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.pause = FIRST_PAUSE
        else:
            self._stop_waiting()

    # A sink that fails

    def _failed(self, error: OSError) -> None:
        if self._timer is None:
            self._report(
                f'cannot write "{self.sink.name}": {error.strerror}; its output waits in the pipe'
            )
            self._unwatch()
        else:
            self._timer.cancel()
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
        self._timer = self._pipes.loop.call_later(self.pause, self._ready)

    def _resumed(self) -> None:
        self._unwatch()
        self._pipes.watch(self.fd, self._ready)
        self._report(f'"{self.sink.name}" can be written again; capture resumed')
