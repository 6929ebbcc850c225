"""Follow a log as it grows, for `slctl tail -f`: woken by the append, at the reader's own speed.

A follower remembers a position, not data: what a slow reader has not taken waits on disk. While
nothing is written it costs nothing, and while it is caught up it has no descriptor of its own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.read import last_boundary
from supervisor_lite.logs.safe_open import open_log
from supervisor_lite.model.constants import MIB

PIECE: Final = 64 * 1024
"""Bytes delivered at once; between two pieces the loop does other things."""
FARTHEST: Final = 8 * MIB
"""Bytes that a reader may be behind before it is made to skip."""
NEAR: Final = 64 * 1024
"""Bytes before the end to which it skips."""


class Follower:
    """Delivers what comes into a log after a position (None: from now on).

    `deliver` takes a piece, cut at the end of a line or at least of a UTF-8 character, and returns
    False if it wants no more until `resume` is called; that piece it has taken all the same.
    `missed` is told how many bytes were skipped because the reader was too slow or a rotated file
    is gone. Both are called from the loop, never from within the constructor.
    """

    __slots__ = (
        "_closed", "_deliver", "_held", "_held_origin", "_log", "_loop", "_lost", "_missed",
        "_paused", "_position", "_scheduled",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        log: LogFile,
        deliver: Callable[[bytes], bool],
        missed: Callable[[int], None],
        position: int | None = None,
    ) -> None:
        self._loop = loop
        self._log = log
        self._deliver = deliver
        self._missed = missed
        self._position = log.end if position is None else position
        self._held = -1
        self._held_origin = 0
        self._lost = 0
        self._paused = False
        self._scheduled = False
        self._closed = False
        log.join(self)
        self.poke()

    def resume(self) -> None:
        """Deliver again after a `deliver` that returned False."""
        self._paused = False
        self.poke()

    def close(self) -> None:
        """Deliver no more."""
        self._closed = True
        self._log.part(self)
        self._let_go()

    # What the log file tells

    def poke(self) -> None:
        """Look, in the loop's next round, whether there is more to read."""
        behind = self._position < self._log.end
        if behind and not (self._scheduled or self._paused or self._closed):
            self._scheduled = True
            self._loop.call_soon(self._run)

    def leave(self, fd: int, origin: int, end: int) -> None:
        """Keep a file open that is about to be left, if it is being read and has more."""
        if self._held < 0 and origin <= self._position < end:
            self._held = os.dup(fd)
            self._held_origin = origin

    def jump(self, position: int) -> None:
        """Forget what an operator has cleared."""
        self._let_go()
        self._position = position
        self._lost = 0

    # Reading

    def _run(self) -> None:
        self._scheduled = False
        if self._paused or self._closed:
            return
        try:
            piece = self._far_behind() if self._is_far_behind() else self._next()
        except OSError:
            piece = b""
            self._lost += self._log.end - self._position
            self._position = self._log.end
            self._let_go()
        if self._lost:
            lost, self._lost = self._lost, 0
            self._missed(lost)
        if piece and not self._closed:
            self._position += len(piece)
            self._paused = not self._deliver(piece)
            self.poke()

    def _is_far_behind(self) -> bool:
        return self._log.end - self._position > FARTHEST

    def _far_behind(self) -> bytes:
        """Skip to the beginning of a line near the end and read there."""
        self._let_go()
        self._lost += self._log.end - NEAR - self._position
        self._position = self._log.end - NEAR
        data = self._read()
        skipped = data.find(b"\n") + 1
        self._position += skipped
        self._lost += skipped
        return self._next() if skipped else data[: last_boundary(data)]

    def _next(self) -> bytes:
        """Return the next piece without moving on; empty if there is none yet."""
        data = self._read()
        if len(data) == PIECE:
            return data[: data.rfind(b"\n") + 1 or last_boundary(data) or PIECE]
        # The rest of a character is still to come, unless the file ends here for good.
        return data if self._held >= 0 else data[: last_boundary(data)]

    def _read(self) -> bytes:
        """Return up to PIECE bytes from where we are; moves on only over what is gone."""
        log = self._log
        while self._position < log.end:
            if self._held >= 0:
                data = os.pread(self._held, PIECE, self._position - self._held_origin)
                if data:
                    return data
                self._let_go()
            elif self._position >= log.origin:
                return os.pread(log.fd, PIECE, self._position - log.origin) if log.fd >= 0 else b""
            else:
                self._find_rotated()
        return b""

    def _find_rotated(self) -> None:
        """Open the rotated file that holds our position, or move on to what is left."""
        log = self._log
        origin = log.origin
        for number in range(1, log.chain + 1):
            try:
                fd = open_log(f"{log.path}.{number}", os.O_RDONLY)
            except OSError:
                break
            earlier = origin - os.fstat(fd).st_size
            if earlier <= self._position:
                self._held = fd
                self._held_origin = earlier
                return
            os.close(fd)
            origin = earlier
        self._lost += origin - self._position
        self._position = origin

    def _let_go(self) -> None:
        if self._held >= 0:
            os.close(self._held)
            self._held = -1
