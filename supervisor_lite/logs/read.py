"""Read the end of a log, across its rotated files, without cutting a UTF-8 character."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import Final

from supervisor_lite.errors import OperationFailed
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.safe_paths import open_file

BLOCK: Final = 64 * 1024
"""Bytes read at once."""

_MAX_FILES: Final = 1000
"""Rotated files that are looked at: who owns their directory could make any number of them."""


def tail_bytes(path: str, count: int) -> bytes:
    """Return the last `count` bytes, fewer if there are not so many; empty if there is no file.

    Right after a rotation most of them come from `.1`. Raises OperationFailed if it is no log file
    (a terminal, say) or cannot be read.
    """
    wanted = max(count, 0)
    blocks: list[bytes] = []
    for block in _backwards(path, wanted):
        blocks.append(block)
    data = b"".join(reversed(blocks))
    return data[first_boundary(data) :] if len(data) == wanted else data


def tail_lines(path: str, count: int, max_bytes: int) -> bytes:
    """Return the last `count` lines, fewer if they have more than `max_bytes` bytes together.

    A line is dropped whole rather than cut, unless it is the last. Errors as in `tail_bytes`.
    """
    if count <= 0:
        return b""
    data = b""
    # One byte more shows whether the rest begins with a line.
    for block in _backwards(path, max_bytes + 1):
        data = block + data
        start = _start_of_lines(data, count)
        if start:
            return data[start:]
    if len(data) <= max_bytes:
        return data
    whole = data.find(b"\n") + 1
    return data[whole:] if 0 < whole < len(data) else data[1 + first_boundary(data[1:]) :]


def _start_of_lines(data: bytes, count: int) -> int:
    """Return where the last `count` lines begin, 0 if that may be before `data`."""
    offset = len(data) - 1 if data.endswith(b"\n") else len(data)
    for _ in range(count):
        offset = data.rfind(b"\n", 0, offset)
        if offset < 0:
            return 0
    return offset + 1


def _backwards(path: str, max_bytes: int) -> Iterator[bytes]:
    """Yield blocks from the end of a log to its beginning, `max_bytes` in all."""
    number = 0
    while max_bytes > 0 and number <= _MAX_FILES:
        fd = open_regular(path, number)
        if fd is None and number:
            return
        number += 1
        if fd is None:
            continue
        with contextlib.closing(os.fdopen(fd, "rb", buffering=0)):
            offset = os.fstat(fd).st_size
            while offset > 0 and max_bytes > 0:
                size = min(BLOCK, offset, max_bytes)
                offset -= size
                max_bytes -= size
                yield os.pread(fd, size, offset)


def open_regular(path: str, number: int) -> int | None:
    """Open the live file (0) or a rotated one for reading; None if there is none.

    Raises OperationFailed if it is no log file or cannot be read.
    """
    name = f"{path}.{number}" if number else path
    try:
        # Not blocking: at this path there may be a FIFO.
        fd = open_file(name, os.O_RDONLY)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        text = f'cannot read "{name}": {error.strerror}'
        raise OperationFailed(text, ErrorCode.IO_ERROR) from error
    if number:
        return None
    raise OperationFailed(f'cannot read "{path}": no log file', ErrorCode.NO_LOG_FILE)


def first_boundary(data: bytes) -> int:
    """Return where the first whole UTF-8 character of a piece begins."""
    for offset, byte in enumerate(data[:4]):
        if byte & 0xC0 != 0x80:
            return offset
    return len(data) if len(data) < 4 else 0  # four such bytes in a row are not UTF-8 at all


def last_boundary(data: bytes) -> int:
    """Return where the last whole UTF-8 character of a piece ends."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            size = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return len(data) - back if size > back else len(data)
    return len(data)
