"""A log with its rotated files as one sequence of bytes, from the oldest file to the live one.

Here everything is read that is old: the last lines or bytes, however many, and what came after a
mark. All of it by position (logfile.py), in pieces as large as the caller wants, and by the names
of the files at that moment: nothing is kept open or remembered between two pieces.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, NamedTuple

from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.marks import FileId, Mark, file_id
from supervisor_lite.logs.read import BLOCK, first_boundary, open_regular

BLOCKS_AT_ONCE: Final = 16
"""Blocks that are looked through for the ends of lines before others have their turn."""

MAX_MISSING: Final = 1
"""Numbers of rotated files that may be missing in a row: a rotation that was cut short leaves one.
"""

MAX_BEYOND: Final = 100
"""Rotated files that are looked at beyond `backups`: of an earlier setting. Who owns the directory
could make any number of them.
"""


class Part(NamedTuple):
    """One file of a log, open for reading."""

    number: int
    """0 is the live file, 1 the one before it."""
    fd: int
    start: int
    """The position of its first byte."""
    size: int


class Found(NamedTuple):
    """Where a mark is now."""

    position: int
    exact: bool
    """Nothing between the mark and the position is lost."""


def parts(log: LogFile) -> Iterator[Part]:
    """Yield the files of a log, the newest first, each open until the next one.

    Of a log that is not open, what is in its file counts from here on as come before. Raises
    OperationFailed if one cannot be read.
    """
    number = missing = 0
    start = log.end
    while missing <= MAX_MISSING and number <= log.backups + MAX_BEYOND:
        # The live file is the one that is written to, also where somebody has moved it away.
        fd = os.dup(log.fd) if log.fd >= 0 and not number else open_regular(log.path, number)
        if fd is None:
            missing += number > 0
        else:
            missing = 0
            with contextlib.closing(os.fdopen(fd, "rb", buffering=0)):
                size = os.fstat(fd).st_size if number else _size_of_live(log, fd)
                start -= size
                yield Part(number, fd, start, size)
        number += 1


def _size_of_live(log: LogFile, fd: int) -> int:
    """Return how large the live file is; one that is not open is as large as it is on disk."""
    if log.fd < 0:
        size = os.fstat(fd).st_size
        log.origin, log.size = log.end - size, size
    return log.size


def mark_at(log: LogFile, position: int) -> Mark | None:
    """Return the mark of a position; None if there is no file yet. Raises OperationFailed."""
    for part in parts(log):
        if part.start <= position:
            return Mark(file_id(part.fd), position - part.start)
    return None


def find(log: LogFile, mark: Mark | None) -> Found:
    """Return where a mark is now; a file that is gone is followed by those that came after it.

    None stands for a log that had no file: all that there is came after that. Raises
    OperationFailed.
    """
    oldest = log.end
    for part in parts(log):
        if mark is not None and _is(part, mark.file):
            # What came before the live file is where the names say.
            log.chain = max(log.chain, part.number)
            whole = mark.offset <= part.size  # else it was emptied meanwhile
            return Found(part.start + (mark.offset if whole else 0), whole)
        if mark is None or part.number == 0 or _is_younger(part, mark.file):
            oldest = part.start
            log.chain = max(log.chain, part.number)
    return Found(oldest, mark is None)


def _is(part: Part, file: FileId) -> bool:
    """Is it this file? Where no time of birth is known the inode alone has to do."""
    found = file_id(part.fd)
    return found == file or (not (found.born and file.born) and found[:2] == file[:2])


def _is_younger(part: Part, file: FileId) -> bool:
    return 0 < file.born < file_id(part.fd).born


def start_of_bytes(log: LogFile, count: int) -> int:
    """Return the position of the last `count` bytes, at the beginning of a character.

    Raises OperationFailed.
    """
    wanted = oldest = log.end
    wanted -= count
    for part in parts(log):
        oldest = part.start
        if oldest <= wanted:
            return wanted + first_boundary(os.pread(part.fd, 4, wanted - oldest))
    return oldest


async def start_of_lines(log: LogFile, count: int, turn: Callable[[], Awaitable[None]]) -> int:
    """Return the position at which the last `count` lines begin, however long they are.

    `turn` is waited for now and then, so that others are served. Raises OperationFailed.
    """
    position, left, blocks = log.end, count, 0
    if not count:
        return position
    for part in parts(log):
        offset = part.size
        while offset > 0:
            size = min(BLOCK, offset)
            offset -= size
            block = os.pread(part.fd, size, offset)
            if not blocks:
                left += block.endswith(b"\n")  # the end of the last line begins no other
            ends = block.count(b"\n")
            if ends >= left:
                return part.start + offset + _start_after(block, left)
            left -= ends
            blocks += 1
            if blocks % BLOCKS_AT_ONCE == 0:
                await turn()
        position = part.start
    return position


def _start_after(block: bytes, count: int) -> int:
    """Return where the text after the last but `count` ends of lines begins."""
    offset = len(block)
    for _ in range(count):
        offset = block.rfind(b"\n", 0, offset)
    return offset + 1


def read(log: LogFile, position: int, most: int) -> bytes:
    """Return what is at a position, of as many files as it takes; empty if it is gone or not yet.

    Each file is opened once, however small they are. Raises OperationFailed.
    """
    found: list[bytes] = []
    for part in parts(log):
        start = max(position, part.start)
        size = min(position + most, part.start + part.size) - start
        if size > 0:
            found.append(os.pread(part.fd, size, start - part.start))
        if part.start <= position:
            return b"".join(reversed(found))
    return b""
