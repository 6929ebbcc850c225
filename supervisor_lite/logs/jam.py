"""A full pipe in front of a sink that takes nothing: how long its program waits, and what then.

The pipe is room for a while, and nobody is harmed until it is full. Then the program stands still
in write(2). After PATIENCE the oldest half of what is in the pipe is dropped, at the end of a line,
and from then on again whenever it is full: the program goes on at its own speed, and what comes
into the log when it can be written again is the newest, behind a line that tells what is missing.
"""

from __future__ import annotations

import os
import select
import time
from typing import Final

from supervisor_lite.host.syscalls import bytes_in_pipe
from supervisor_lite.logs.loss import Loss
from supervisor_lite.logs.peek import MAX_PEEK, Peeker

PATIENCE: Final = 5.0
"""Seconds for which a program may stand still before its output is dropped."""


class Jam:
    """One pipe of which nothing could be moved when it was tried last.

    `lasts` tells that the program has been standing still for longer than PATIENCE, and `dropping`
    that room is made whenever the pipe is full.
    """

    __slots__ = ("_fd", "_full_since", "_loss", "_peeker", "dropping", "lasts")

    def __init__(self, fd: int, loss: Loss, peeker: Peeker) -> None:
        self._fd = fd
        self._loss = loss
        self._peeker = peeker
        self._full_since: float | None = None
        self.lasts = False
        self.dropping = False

    def look(self) -> None:
        """Take note of the time."""
        if self.lasts or not _is_full(self._fd):
            return
        now = time.monotonic()
        if self._full_since is None:
            self._full_since = now
        self.lasts = now - self._full_since >= PATIENCE

    def make_room(self) -> None:
        """Drop the oldest half if the pipe is full."""
        if not _is_full(self._fd):
            return
        left = bytes_in_pipe(self._fd) // 2
        try:
            while left > 0:
                data = os.read(self._fd, min(left, MAX_PEEK))
                left -= len(data)
                self._loss.drop(data)
            rest = self._peeker.peek(self._fd, MAX_PEEK).find(b"\n") + 1
            if rest and not data.endswith(b"\n"):
                self._loss.drop(os.read(self._fd, rest))
        except BlockingIOError:
            return  # somebody else reads it, too


def _is_full(fd: int) -> bool:
    """Tell whether a writer would have to wait: pages count, not bytes."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return not poll.poll(0)
