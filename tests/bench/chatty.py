"""A child that writes a MB a second to its stdout, in lines of 100 bytes, a hundred times a second.

    python -I -S chatty.py BEATS NAME

It says in the FIFO called BEATS that it begins.
"""

import os
import sys
import time

_PAUSE = 0.01
_BLOCK = (b"x" * 99 + b"\n") * 100


def main() -> None:
    """Write for ever; late blocks are made up for."""
    beats, name = sys.argv[1:]
    with open(beats, "ab", buffering=0) as pipe:
        pipe.write(f"{name} {os.getpid()}\n".encode())
    due = time.monotonic()
    while True:
        os.write(1, _BLOCK)
        due += _PAUSE
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
