"""Look at the first bytes in a pipe without taking them out, with tee(2).

What is only looked at is still in the pipe when the daemon dies.
"""

from __future__ import annotations

import ctypes
import functools
import os

MOST = 64 * 1024
"""Bytes that one look may show: what a pipe of default size holds."""


@functools.cache
def _pipe() -> tuple[int, int]:
    """Return the pipe into which everything is copied; one serves all, it is empty in between."""
    return os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)


@functools.cache
def _libc() -> ctypes.CDLL:
    # Python has os.splice but no os.tee.
    return ctypes.CDLL(None, use_errno=True)


def peek(fd: int, count: int) -> bytes:
    """Return up to `count` bytes from the head of a pipe, fewer if it holds them in many parts.

    Empty if nothing is there. Raises OSError.
    """
    reader, writer = _pipe()
    size = _libc().tee(fd, writer, ctypes.c_size_t(min(count, MOST)), os.SPLICE_F_NONBLOCK)
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
