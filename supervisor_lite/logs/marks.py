"""A place in a log that means the same after the daemon has died: which file, and how far into it.

Clients keep marks as text and bring them back (`after`): to the same daemon for the next piece, to
the next one to go on exactly where they were. A path would not do, because files are rotated. A
file is known by its device and inode, and by the time of its birth: an inode is used again for the
next file as soon as it is free.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from supervisor_lite.host.syscalls import birth_time


class FileId(NamedTuple):
    """Which file it is, wherever it has been moved to."""

    device: int
    inode: int
    born: int
    """In nanoseconds; 0 where the file system does not tell."""


class Mark(NamedTuple):
    """A place in a file."""

    file: FileId
    offset: int


def file_id(fd: int) -> FileId:
    """Return which file is open. Raises OSError."""
    status = os.fstat(fd)
    return FileId(status.st_dev, status.st_ino, birth_time(fd))


def to_text(mark: Mark | None, left: int | None = None) -> str:
    """Return a mark as clients keep it, "" for none: the log has no file yet.

    `left` is how many bytes after it are still wanted by who does not follow.
    """
    place = "" if mark is None else ".".join(f"{n:x}" for n in (*mark.file, mark.offset))
    return place if left is None else f"{place}+{left:x}"


def from_text(text: str) -> tuple[Mark | None, int | None]:
    """Return the mark and what is left, as `to_text` wrote them. Raises ValueError."""
    place, plus, rest = text.partition("+")
    left = _number(rest) if plus else None
    if not place:
        return None, left
    device, inode, born, offset = (_number(part) for part in place.split("."))
    return Mark(FileId(device, inode, born), offset), left


def _number(text: str) -> int:
    if len(text) > 16 or text.strip("0123456789abcdef"):
        raise ValueError(f"not a mark: {text!r}")
    return int(text, 16)
