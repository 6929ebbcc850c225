"""A program that writes numbered lines until it is told to end; the last line is `end COUNT`.

Run by path: `python -I -S writer.py PAUSE BATCH WIDTH`, seconds between two batches of that many
lines with up to that many filling characters.
"""

from __future__ import annotations

import os
import signal
import sys
import time

over = False


def end(*_: object) -> None:
    global over
    over = True


def line(number: int, width: int) -> bytes:
    """Return line `number`: its length varies, so that files end anywhere."""
    return b"%d %s\n" % (number, b"x" * (number * 7919 % width))


def write(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(1, rest) :]


def main(pause: float, batch: int, width: int) -> None:
    signal.signal(signal.SIGTERM, end)
    number = 0
    while not over:
        write(b"".join(line(n, width) for n in range(number, number + batch)))
        number += batch
        time.sleep(pause)
    write(b"end %d\n" % number)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
