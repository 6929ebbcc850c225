"""Find and close the hole that somebody tears into a log by emptying it while we write.

The kernel takes the offset of a splice(2) before it waits for the file. Who truncates the file in
this instant (`> web.log`, logrotate's copytruncate) has the bytes written far behind its new end,
and what is between reads as NULs. No splice appends, so the end of what was there before is
compared afterwards.
"""

from __future__ import annotations

import os
from typing import Final

_TAIL: Final = 64
"""Bytes that are compared."""
_PAGE: Final = 4096
_BLOCK: Final = 64 * 1024


def tail_of(fd: int, size: int) -> bytes:
    """Return the last bytes of a file of this size, to be compared later. Raises OSError."""
    return os.pread(fd, _TAIL, max(0, size - _TAIL)) if size else b""


def start_of_hole(fd: int, offset: int, tail: bytes) -> int:
    """Return where the hole begins that ends at `offset`, -1 if there is none.

    `tail` is what was before that offset. Raises OSError; moves the offset of the descriptor.
    """
    found = os.pread(fd, len(tail), offset - len(tail))
    if found == tail or len(found) < len(tail):
        return -1  # as it was; or it was emptied only after we had written
    same = next(i for i, (a, b) in enumerate(zip(found, tail, strict=True)) if a != b)
    if found[same:].strip(b"\0"):
        return -1  # somebody has written there
    start = offset - len(tail) + same
    return start if same else _go_back(fd, start)


def _go_back(fd: int, start: int) -> int:
    """Return where the NULs begin that end at `start`."""
    hole = os.lseek(fd, 0, os.SEEK_HOLE)
    if hole < start and os.lseek(fd, hole, os.SEEK_DATA) > start - _PAGE:
        start = hole  # not all of it has to be read
    while start:
        size = min(start, _BLOCK)
        rest = os.pread(fd, size, start - size).rstrip(b"\0")
        start += len(rest) - size
        if rest:
            break
    return start


def close_hole(fd: int, start: int, offset: int, size: int) -> int:
    """Move the `size` bytes at `offset` to the `start` of the hole; return the file's new size.

    They are written there before they are cut off here, so no byte is lost on the way. The file
    may be emptied once more meanwhile; then it has no hole either. Raises OSError.
    """
    data = os.pread(fd, size, offset)
    moved = os.pwrite(fd, data, start) if data else 0
    if os.fstat(fd).st_size > start + moved:
        os.ftruncate(fd, start + moved)
    return os.lseek(fd, 0, os.SEEK_END)
