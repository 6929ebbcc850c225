"""Pump one FIFO into one sink, in bounded turns, and wait out a disk that does not take it.

A program writes into a FIFO (fifo.py), not into a pipe between it and the daemon: it has a name, so
the next daemon can open it; both sides hold it open for reading and writing, so neither the death
of the daemon (no SIGPIPE) nor that of the program (no end of file) closes it. What the daemon has
not moved when it is killed is still in there. From this follows everything else:

- Bytes stay in the pipe until they have arrived. A file is spliced into (splice(2)): the bytes go
  from the pipe to the page cache inside the kernel, which is also the cheapest way. Where lines
  matter, at a rotation or for a filter, the head of the pipe is copied with tee(2) and looked at
  while the bytes remain where they are (peek.py). Only then it is decided how many to splice.
- A sink that cannot take more is not a reason to read: the pipe fills, and then the program waits
  in write(2). That is back-pressure for free, per program, and nothing grows in the daemon.
  A sink that waits for room names the descriptor to wait for (`Sink.blocked_on`).
- A disk that fails is tried again every half second, or at once when something has changed
  (`retry`). It is reported when it begins and when it is over.
- A program must not stand still because of its log. When its pipe is full, and has been for a
  while, the oldest output in it is dropped (jam.py), unless the definition says otherwise.

A capture is always in one of four conditions: waiting for the FIFO to be readable; waiting for the
sink's descriptor to be writable; waiting for *new* bytes, because those that are there are perhaps
the beginning of a token and do not say yet what they mean (edge-triggered, or the loop would spin);
or waiting for the timer of a failed disk. `_wait` moves between the first three.

Turns are bounded (MAX_PER_TURN), so that the flood of one program delays nobody's restart. And a
run that ends is drained in the same step of the loop, before its exit is told: what it said last is
in the log when `slctl status` says EXITED.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

from supervisor_lite.explain.output import amount_text
from supervisor_lite.host.syscalls import bytes_in_pipe, pipe_capacity
from supervisor_lite.logs.jam import Jam
from supervisor_lite.logs.loss import NOBODY_READS, Loss
from supervisor_lite.logs.pipes import Pipes
from supervisor_lite.logs.sinks import Sink

MAX_PER_TURN: Final = 256 * 1024
"""Bytes moved per wake-up. More makes other programs wait longer and is hardly faster."""
MAX_DRAIN: Final = 128
"""Turns of a drain that may do nothing but rename files."""
RETRY_DELAY: Final = 0.5
"""Seconds between two tries to write what could not be written."""
_READING: Final = -1
_FOR_NEW_DATA: Final = -2
"""What a capture waits for, if it is no descriptor that has to become writable."""


class Capture:
    """One stream of one process on its way out of the FIFO.

    `fd` is the daemon's own description of the FIFO (see `fifo.open_for_reading`); it belongs to
    the capture, as does the sink. `report` gets one text when the sink begins to fail and one when
    it works again; meanwhile the output waits in the pipe, and the program with it, for ever if it
    `waits`. What is dropped instead is counted by `loss`.
    """

    __slots__ = (
        "_jam", "_loss", "_pipes", "_report", "_stall", "_timer", "_waits", "_waits_on", "fd",
        "sink",
    )  # fmt: skip

    def __init__(
        self,
        pipes: Pipes,
        fd: int,
        sink: Sink,
        report: Callable[[str], None],
        loss: Loss | None = None,
        *,
        waits: bool = False,
    ) -> None:
        self._pipes = pipes
        self._report = report
        self._loss = loss or Loss()
        self.fd = fd
        self.sink = sink
        self._waits = waits
        self._waits_on = _READING
        self._timer: asyncio.TimerHandle | None = None
        """Until the next try, of a sink that has failed."""
        self._stall: asyncio.TimerHandle | None = None
        """Until the next look, at a sink that is blocked."""
        self._jam: Jam | None = None
        """What is in the pipe of a sink that has failed or is blocked."""
        pipes.watch(fd, self._ready)

    def drain(self, *, patient: bool = False) -> int:
        """Move what is in the pipe now; return how many bytes that was.

        Called when a run has ended: its last words must be in the log before that is told. Bounded
        by what the pipe holds, for leftovers of the run may go on writing, and by what may be
        rotated meanwhile, for nobody's restart waits for that: the rest follows in later turns.
        `patient`: there are none, so it takes as long as it takes.
        """
        max_bytes = pipe_capacity(self.fd)
        max_turns = MAX_DRAIN * 1000 if patient else MAX_DRAIN
        moved = turns = 0
        while moved < max_bytes:
            size = self._turn(max_bytes - moved)
            if not size and (turns >= max_turns or not self._is_rotating()):
                break
            moved += size
            turns += not size
        self.sink.finish()
        self._wait()
        return moved

    def _is_rotating(self) -> bool:
        """Tell whether a turn that has moved nothing only had to rename too many files."""
        stuck = self._timer is not None or self.sink.blocked_on >= 0 or self.sink.undecided
        return not stuck and bytes_in_pipe(self.fd) > 0

    def retry(self) -> None:
        """Try at once what was to be tried later: something has changed."""
        if self._timer is not None:
            self._turn(MAX_PER_TURN)

    def swap(self, sink: Sink) -> None:
        """Go on with another sink from the next byte; the old one is closed."""
        self._unwatch()
        self._loss.end()
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
        self._turn(MAX_PER_TURN)

    def _turn(self, budget: int) -> int:
        """Move some bytes and see to it that the next turn comes."""
        try:
            moved = self._transfer(budget)
        except OSError as error:
            self._failed(error)
            return 0
        if self._timer is not None:
            self._resumed()
        elif moved and self._end_jam():
            self._report_end()
        self._wait()
        return moved

    def _transfer(self, budget: int) -> int:
        """Tell first what is missing before the bytes that are next. Raises OSError."""
        if self._loss.pending:
            if self.sink.mark(self._loss.mark()):
                lost = amount_text(self._loss.marked())
                self._report(f'{lost} of the output to "{self.sink.name}" are lost')
            elif self.sink.blocked_on >= 0:
                return 0
        moved = self.sink.transfer(self.fd, budget)
        if self._timer is not None and 0 < moved < budget:
            # A short turn is also what a disk does that has room for a little.
            moved += self.sink.transfer(self.fd, budget - moved)
        return moved

    def _wait(self) -> None:
        """Wait for the FIFO, or for whatever keeps the sink from taking more."""
        waits_on = self.sink.blocked_on
        if waits_on < 0:
            waits_on = _FOR_NEW_DATA if self.sink.undecided else _READING
        if waits_on == self._waits_on or self._timer is not None:
            return
        self._stop_waiting()
        if waits_on >= 0:
            self._pipes.loop.add_writer(waits_on, self._ready)
            self._stall = self._pipes.loop.call_later(RETRY_DELAY, self._stalled)
        else:
            # What waits for more keeps the FIFO readable: what counts is that something is added.
            self._pipes.watch(self.fd, self._ready, only_new=waits_on == _FOR_NEW_DATA)
        self._waits_on = waits_on

    def _stop_waiting(self) -> None:
        if self._waits_on >= 0:
            self._pipes.loop.remove_writer(self._waits_on)
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        self._end_jam()
        self._pipes.unwatch(self.fd)
        self._waits_on = _READING

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._stop_waiting()

    # A sink that fails

    def _failed(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        if self._timer is None:
            self._unwatch()
            self._begin_trouble(reason)
        else:
            self._timer.cancel()
            self._loss.begin(self.sink.name, reason)
        self._timer = self._pipes.loop.call_later(RETRY_DELAY, self._ready)
        self._look()

    def _begin_trouble(self, reason: str) -> None:
        self._loss.begin(self.sink.name, reason)
        self._report(f'cannot write "{self.sink.name}": {reason}; its output waits in the pipe')

    def _resumed(self) -> None:
        self._unwatch()
        self._pipes.watch(self.fd, self._ready)
        self._report_end()

    def _report_end(self) -> None:
        self._report(f'"{self.sink.name}" can be written again; capture resumed')

    # A pipe that is full

    def _stalled(self) -> None:
        """Look again at a sink that is blocked."""
        self._stall = self._pipes.loop.call_later(RETRY_DELAY, self._stalled)
        if self._look() and self._loss.trouble is None:
            self._begin_trouble(NOBODY_READS)

    def _look(self) -> bool:
        """Drop output if the program has stood still for long; return whether it has."""
        if self._jam is None:
            self._jam = Jam(self.fd, self._loss, self._pipes.peeker)
        jam = self._jam
        jam.look()
        if jam.lasts and not jam.dropping and not self._waits:
            jam.dropping = True
            text = f'the pipe to "{self.sink.name}" is full: output of its program is dropped'
            self._report(text)
            # Not half of it at each look: as soon as it is full again.
            self._pipes.watch(self.fd, jam.make_room, only_new=True)
            jam.make_room()
        return jam.lasts

    def set_waits(self, waits: bool) -> None:
        """Have the program wait for ever, or not, when its pipe is full."""
        self._waits = waits
        if waits and self._jam is not None and self._jam.dropping:
            self._jam.dropping = False
            self._pipes.unwatch(self.fd)

    def _end_jam(self) -> bool:
        """Forget that nothing could be moved; return whether that was told."""
        if self._jam is None:
            return False
        if self._jam.dropping:
            self._pipes.unwatch(self.fd)
        self._jam = None
        told = self._loss.trouble is not None
        self._loss.end()
        return told
