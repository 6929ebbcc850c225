"""Look at the first bytes in a pipe without taking them out, with tee(2).

What is only looked at is still in the pipe when the daemon dies.
"""

from __future__ import annotations

import functools
import os

from supervisor_lite.host import syscalls

MOST = 64 * 1024
"""Bytes that one look may show: what a pipe of default size holds."""


@functools.cache
def _pipe() -> tuple[int, int]:
    """Return the pipe into which everything is copied; one serves all, it is empty in between."""
    return os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)


def peek(fd: int, count: int) -> bytes:
    """Return up to `count` bytes from the head of a pipe, fewer if it holds them in many parts.

    Empty if nothing is there. Raises OSError.
    """
    reader, writer = _pipe()
    size = syscalls.tee(fd, writer, min(count, MOST))
    head = b""
    while len(head) < size:
        head += os.read(reader, size - len(head))
    return head
