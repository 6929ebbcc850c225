"""A child that writes so many bytes to its stdout as fast as Python can, in lines of 100.

    python -I -S flood.py BEATS TOTAL SCRATCH

It says in the FIFO called BEATS that it begins, and stays when it is done. Before that it writes
as much to the file SCRATCH, and takes that back step by step while it writes: a virtual machine
has to ask its host for memory that it has not used for a second or two, which takes longer than
all the copying and would be charged to whoever comes first.
"""

import os
import sys
import time

_MOST = 500_000_000
_STEP = 16_000_000  # whole lines: some loggers keep the rest of one to themselves
_LINE = b"x" * 99 + b"\n"
_BLOCK = _LINE * 655  # just under 64 KiB


def main() -> None:
    """Write, then wait for the end."""
    beats, total, scratch = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    memory = os.open(scratch, os.O_CREAT | os.O_RDWR)
    held = min(total, _MOST)
    _write(memory, held)
    with open(beats, "ab", buffering=0) as pipe:
        pipe.write(b"flood %d\n" % os.getpid())
    written = 0
    while written < total:
        held = max(held - _STEP, 0)
        os.ftruncate(memory, held)
        size = min(_STEP, total - written)
        _write(1, size)
        written += size
    os.close(1)
    os.unlink(scratch)
    time.sleep(1e6)


def _write(fd: int, left: int) -> None:
    while left:
        left -= os.write(fd, _BLOCK if left >= len(_BLOCK) else _BLOCK[:left])


if __name__ == "__main__":
    main()
