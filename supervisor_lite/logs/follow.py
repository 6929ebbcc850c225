"""Follow a log as it grows, for `slctl tail -f`: woken by the append, at the reader's own speed.

A follower remembers a *position*, not data. Positions count every byte that ever went into the log,
through all rotations (see logfile.py), so what a slow reader has not taken waits on disk, nothing
is buffered here, and a hundred readers cost a hundred integers. While nothing is written a follower
costs nothing: no timer, no poll, no inotify, because the only writer of the file is this daemon,
and it calls `on_append`. While it is caught up it has no descriptor of its own: it reads through
the log's.

There are three ways from a position to its bytes, and between two reads they may move from one to
the next:

1. The position is in the live file: read through the log's own descriptor.
2. The file in which the position lies is rotated in this moment: `on_rotate` comes before the log
   closes it, and the follower keeps a duplicate of the descriptor. Whatever happens to its name
   afterwards (renamed again, deleted because of `backups`), it can be read to its end. That is done
   for MAX_HELD readers: each takes a descriptor, and who does not read would take them all.
3. Several rotations have happened since the last read, because the reader was slow, or the position
   is one that an earlier daemon knew (archive.py). Only the file of the first one is held; those
   after it are looked for by name, counted back from the live one (`LogFile.chain` tells how many
   of `.1`, `.2` … hold what came before it). What is not there any more is lost, and the reader is
   told how many bytes that was.

A slow reader delays nobody: one chunk is delivered per round of the loop, and none before the
reader asks for more (`resume`). One that would rather be near the end than see everything says so
(`max_behind`): farther behind than that it is made to skip, and told so.

A chunk ends at the end of a line if it holds one, else at least at the end of a UTF-8 character;
only at the end of a file that is complete it may end anywhere. `mark` is where the next one begins,
in words that another daemon understands, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Final

from supervisor_lite.logs.archive import mark_at
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.marks import Mark, file_id
from supervisor_lite.logs.read import last_boundary
from supervisor_lite.safe_paths import open_file

MAX_CHUNK: Final = 64 * 1024
"""Bytes delivered at once; between two chunks the loop does other things."""
SKIP_TO: Final = 64 * 1024
"""Bytes before the end to which a reader skips that does not want to be far behind."""
MAX_HELD: Final = 128
"""Rotated files that are held open for all readers; beyond that they are looked for by name."""


class Follower:
    """Delivers what comes into a log after a position (None: from now on).

    `deliver` gets a chunk, cut at the end of a line or at least of a UTF-8 character, and returns
    False if it wants no more until `resume` is called; that chunk it has got all the same. An empty
    chunk says only that `mark` is another one, because the log was emptied.
    `missed` is told how many bytes were skipped because the reader was more than `max_behind` bytes
    behind (0: it never skips) or a rotated file is gone. Both are called from the loop, never from
    within the constructor.
    """

    __slots__ = (
        "_closed", "_deliver", "_held", "_held_origin", "_log", "_loop", "_lost", "_max_behind",
        "_missed", "_paused", "_position", "_scheduled",
    )  # fmt: skip

    holding = 0
    """How many of all of them hold a file open."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        log: LogFile,
        deliver: Callable[[bytes], bool],
        missed: Callable[[int], None],
        position: int | None = None,
        *,
        max_behind: int = 0,
    ) -> None:
        self._loop = loop
        self._max_behind = max_behind
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
        log.attach(self)
        self.on_append()

    def resume(self) -> None:
        """Deliver again after a `deliver` that returned False."""
        self._paused = False
        self.on_append()

    def close(self) -> None:
        """Deliver no more."""
        self._closed = True
        self._log.detach(self)
        self._close_held()

    def mark(self) -> Mark | None:
        """Return where the next chunk begins; None if there is no file yet. OperationFailed."""
        if self._held >= 0:
            return Mark(file_id(self._held), self._position - self._held_origin)
        log = self._log
        if log.fd >= 0 and self._position >= log.origin:
            return Mark(file_id(log.fd), self._position - log.origin)
        return mark_at(log, self._position)

    # What the log file tells

    def on_append(self) -> None:
        """Look, in the loop's next round, whether there is more to read."""
        behind = self._position < self._log.end
        if behind and not (self._scheduled or self._paused or self._closed):
            self._scheduled = True
            self._loop.call_soon(self._run)

    def on_rotate(self, fd: int, origin: int, end: int) -> None:
        """Keep a file open that is about to be closed, if it is being read and has more."""
        if self._held < 0 and origin <= self._position < end and Follower.holding < MAX_HELD:
            with contextlib.suppress(OSError):
                self._hold(os.dup(fd), origin)

    def on_truncate(self, position: int) -> None:
        """Forget what an operator has cleared."""
        self._close_held()
        self._position = position
        self._lost = 0
        self._loop.call_soon(self._deliver_nothing)

    def _deliver_nothing(self) -> None:
        if not self._closed:
            self._deliver(b"")

    # Reading

    def _run(self) -> None:
        self._scheduled = False
        if self._paused or self._closed:
            return
        try:
            chunk = self._skip() if self._is_far_behind() else self._next()
        except OSError:
            chunk = b""
            self._lost += self._log.end - self._position
            self._position = self._log.end
            self._close_held()
        if self._lost:
            lost, self._lost = self._lost, 0
            self._missed(lost)
        if chunk and not self._closed:
            self._position += len(chunk)
            self._paused = not self._deliver(chunk)
            if self._paused and Follower.holding > MAX_HELD:
                self._close_held()  # to be found again by its name
            self.on_append()

    def _is_far_behind(self) -> bool:
        return 0 < self._max_behind < self._log.end - self._position

    def _skip(self) -> bytes:
        """Skip to the beginning of a line near the end and read there."""
        self._close_held()
        self._lost += self._log.end - SKIP_TO - self._position
        self._position = self._log.end - SKIP_TO
        data = self._read()
        skipped = data.find(b"\n") + 1
        self._position += skipped
        self._lost += skipped
        return self._next() if skipped else data[: last_boundary(data)]

    def _next(self) -> bytes:
        """Return the next chunk without moving on; empty if there is none yet."""
        data = self._read()
        if len(data) == MAX_CHUNK:
            return data[: data.rfind(b"\n") + 1 or last_boundary(data) or MAX_CHUNK]
        # The rest of a character is still to come, unless the file ends here for good.
        return data if self._held >= 0 else data[: last_boundary(data)]

    def _read(self) -> bytes:
        """Return up to MAX_CHUNK bytes from where we are; moves on only over what is gone."""
        log = self._log
        while self._position < log.end:
            if self._held >= 0:
                data = os.pread(self._held, MAX_CHUNK, self._position - self._held_origin)
                if data:
                    return data
                self._close_held()
            elif log.fd >= 0 and self._position >= log.origin:
                return os.pread(log.fd, MAX_CHUNK, self._position - log.origin)
            else:
                self._find_file()
        return b""

    def _find_file(self) -> None:
        """Open the file that holds our position, or move on to what is left."""
        log = self._log
        newest, end = (1, log.origin) if log.fd >= 0 else (0, log.end)
        for number in range(newest, log.chain + 1):
            try:
                fd = open_file(f"{log.path}.{number}" if number else log.path, os.O_RDONLY)
            except OSError:
                break
            start = end - os.fstat(fd).st_size
            if start <= self._position:
                self._hold(fd, start)
                return
            os.close(fd)
            end = start
        self._lost += end - self._position
        self._position = end

    def _hold(self, fd: int, origin: int) -> None:
        self._held, self._held_origin = fd, origin
        Follower.holding += 1

    def _close_held(self) -> None:
        if self._held >= 0:
            os.close(self._held)
            self._held = -1
            Follower.holding -= 1
