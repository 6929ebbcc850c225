"""Begin each line with the name of its program, where several write to one terminal or pipe."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, TypeAlias

ATOMIC: Final = 4096
"""A write of so many bytes into a pipe is never mixed with another program's (PIPE_BUF)."""

Inode: TypeAlias = tuple[int, int]
"""Device and inode of what is written to."""

OpenLines = dict[Inode, "Prefixer | None"]
"""Where the last line has no end yet, and who may go on with it. All that write share one."""


class Prefixer:
    """Writes lines with a prefix, each in one piece if it fits.

    What is written is shown at once, also the beginning of a line. If somebody else writes before
    its end, the line is ended there and goes on in a new one, with the prefix again.
    """

    __slots__ = ("_inode", "_open_lines", "_prefix", "_put", "_unwritten")

    def __init__(
        self,
        prefix: str,
        fd: int,
        open_lines: OpenLines,
        put: Callable[[int, bytes], int] = os.write,
    ) -> None:
        """Write to what `fd` is, by `put`."""
        self._put = put
        status = os.fstat(fd)
        self._prefix = prefix.encode(errors="replace")
        self._inode: Inode = status.st_dev, status.st_ino
        self._open_lines = open_lines
        self._unwritten = b""
        """What is still to be written of a prefix."""

    def write(self, fd: int, data: bytes, start: int) -> int:
        """Write a line of the data, or a part; return how many of its bytes. Raises OSError."""
        head = self._unwritten
        if self._open_lines.get(self._inode) is not self:
            head = (b"\n" if self._inode in self._open_lines else b"") + self._prefix
        room = start + ATOMIC - len(head)
        end = data.find(b"\n", start, room) + 1 or room
        written = self._put(fd, head + data[start:end])
        size = max(0, written - len(head))
        self._unwritten = head[written:]
        if size and data[start + size - 1] == 10:
            self._open_lines.pop(self._inode, None)
        else:
            self._open_lines[self._inode] = self
        return size

    def finish(self) -> None:
        """Let nobody, not even our own next run, go on with our last line."""
        if self._open_lines.get(self._inode) is self:
            self._open_lines[self._inode] = None
