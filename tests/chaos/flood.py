"""A program that writes as fast as it can, and what it must have written.

Run by path: `python -I -S flood.py`. It comes in waves: after each it stops itself until somebody
sends SIGCONT, so that it does not fill the disk. Every line is 64 bytes and begins with its number,
so byte N of the stream is known for every N.
"""

from __future__ import annotations

import os
import signal

LINE = 64
LINES = 1024
"""Lines in a block, which is written at once: 64 KiB."""
SIZE = LINE * LINES
WAVE = 256
"""Blocks in a wave: 16 MiB. The first wave is one block."""

_MARK = b"########"
_TEMPLATE = b"".join(b"%s %04d %s\n" % (_MARK, n, b"x" * (LINE - 15)) for n in range(LINES))


def block(number: int) -> bytes:
    """Return block `number`: a line is "BLOCK LINE xxx…"."""
    return _TEMPLATE.replace(_MARK, b"%08d" % number)


def position(line: bytes) -> int:
    """Return where in the stream a line begins."""
    return int(line[:8]) * SIZE + int(line[9:13]) * LINE


def main() -> None:
    number = 0
    while True:
        rest = memoryview(block(number))
        while rest:
            rest = rest[os.write(1, rest) :]
        if number % WAVE == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        number += 1


if __name__ == "__main__":
    main()
