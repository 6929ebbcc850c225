"""Look at the first bytes in a pipe without taking them out, with tee(2).

What is only looked at is still in the pipe when the daemon dies.
"""

from __future__ import annotations

import ctypes
import functools
import os
from typing import Final

MAX_PEEK: Final = 64 * 1024
"""Bytes that one look may show: what a pipe of default size holds."""


@functools.cache
def _libc() -> ctypes.CDLL:
    # Python has os.splice but no os.tee.
    return ctypes.CDLL(None, use_errno=True)


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
        size = _libc().tee(fd, writer, ctypes.c_size_t(min(count, MAX_PEEK)), os.SPLICE_F_NONBLOCK)
        if size < 0:
            number = ctypes.get_errno()
            error = OSError(number, os.strerror(number))
            if isinstance(error, BlockingIOError):
                return b""
            raise error
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
