"""A child that writes so many bytes to its stdout as fast as Python can, in lines of 100.

    python -I -S flood.py BEATS TOTAL

It says in the FIFO called BEATS that it begins, and stays when it is done.
"""

import os
import sys
import time


def main() -> None:
    """Write, then wait for the end."""
    beats, total = sys.argv[1], int(sys.argv[2])
    line = b"x" * 99 + b"\n"
    block = line * 655  # just under 64 KiB
    with open(beats, "ab", buffering=0) as pipe:
        pipe.write(b"flood %d\n" % os.getpid())
    left = total
    while left:
        left -= os.write(1, block if left >= len(block) else block[:left])
    os.close(1)
    time.sleep(1e6)


if __name__ == "__main__":
    main()
