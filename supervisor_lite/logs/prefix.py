"""Begin each line with the name of its program, where several write to one terminal or pipe."""

from __future__ import annotations

import os
from typing import Final

ATOMIC: Final = 4096
"""A write of so many bytes into a pipe is never mixed with another program's (PIPE_BUF)."""

_Place = tuple[int, int]
"""Device and inode of what is written to."""

_unfinished: dict[_Place, Prefixer | None] = {}
"""Where the last line has no end yet, and who may go on with it."""


class Prefixer:
    """Writes lines with a prefix, each in one piece if it fits.

    What is written is shown at once, also the beginning of a line. If somebody else writes before
    its end, the line is ended there and goes on in a new one, with the prefix again.
    """

    __slots__ = ("_owed", "_place", "_prefix")

    def __init__(self, prefix: str, fd: int) -> None:
        """Write to what `fd` is."""
        status = os.fstat(fd)
        self._prefix = prefix.encode(errors="replace")
        self._place: _Place = status.st_dev, status.st_ino
        self._owed = b""
        """What is still to be written of a prefix."""

    def write(self, fd: int, data: bytes, start: int) -> int:
        """Write a line of the data, or a part; return how many of its bytes. Raises OSError."""
        owed = self._owed
        if _unfinished.get(self._place) is not self:
            owed = (b"\n" if self._place in _unfinished else b"") + self._prefix
        end = data.find(b"\n", start, start + ATOMIC - len(owed)) + 1 or start + ATOMIC - len(owed)
        written = os.write(fd, owed + data[start:end])
        size = max(0, written - len(owed))
        self._owed = owed[written:]
        if size and data[start + size - 1] == 10:
            _unfinished.pop(self._place, None)
        else:
            _unfinished[self._place] = self
        return size

    def finish(self) -> None:
        """Let nobody, not even our own next run, go on with our last line."""
        if _unfinished.get(self._place) is self:
            _unfinished[self._place] = None
