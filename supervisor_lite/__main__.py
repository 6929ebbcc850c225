"""`python -m supervisor_lite`: the daemon."""

from __future__ import annotations

import os
import sys

from supervisor_lite import handover


def main() -> int:
    """Run the daemon; return its exit code."""
    _open_standard()
    if os.getpid() == 1:
        handover.block()  # a signal for which PID 1 has no handler yet would just be lost
    # asyncio loads ssl only if it can; the daemon speaks to a Unix socket and saves 5 MB.
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]
    from supervisor_lite.daemon import main as daemon_main

    return daemon_main(sys.argv[1:])


def _open_standard() -> None:
    """Point standard descriptors that are closed to /dev/null.

    Else the next file has their number, a lock or the journal, and is what `/dev/stdout` means.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


if __name__ == "__main__":
    sys.exit(main())
