"""Look at the first bytes in a pipe without taking them out, with tee(2).

What is only looked at is still in the pipe when the daemon dies.
"""

from __future__ import annotations

import os
from typing import Final

from supervisor_lite.host import syscalls

MAX_PEEK: Final = 64 * 1024
"""Bytes that one look may show: what a pipe of default size holds."""


class Peeker:
    """Shows what is in a pipe, by way of a pipe of its own into which it is copied.

    One serves all FIFOs of an event loop: its pipe is empty between two looks.
    """

    __slots__ = ("_pipe",)

    def __init__(self) -> None:
        self._pipe: tuple[int, int] | None = None

    def peek(self, fd: int, count: int) -> bytes:
        """Return up to `count` bytes from the head of a pipe, fewer if it holds them in many parts.

        Empty if nothing is there. Raises OSError.
        """
        if self._pipe is None:
            self._pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        reader, writer = self._pipe
        size = syscalls.tee(fd, writer, min(count, MAX_PEEK))
        head = b""
        while len(head) < size:
            head += os.read(reader, size - len(head))
        return head

    def close(self) -> None:
        """Release the pipe."""
        if self._pipe is not None:
            for end in self._pipe:
                os.close(end)
            self._pipe = None
