"""`python -m supervisor_lite`: the daemon."""

from __future__ import annotations

import os
import sys

from supervisor_lite.daemon import going_back, handover
from supervisor_lite.host import stray_signals


def main() -> int:
    """Run the daemon; return its exit code."""
    _fill_standard_streams()
    stray_signals.block()
    if os.getpid() == 1:
        handover.block_signals()  # a signal for which PID 1 has no handler yet would just be lost
    # asyncio loads ssl only if it can; the daemon speaks to a Unix socket and saves 5 MB.
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]
    try:
        from supervisor_lite.daemon.main import main as daemon_main

        code = daemon_main(sys.argv[1:])
    except BaseException as error:
        going_back.go_back(repr(error))
        raise
    going_back.go_back(f"it ended with exit code {code}")  # returns, unless it has never served
    return code


def _fill_standard_streams() -> None:
    """Open /dev/null for standard streams that are closed.

    Else the next files opened, a lock among them, would be taken for stdin, stdout and stderr.
    """
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest one free: fd
            stream = os.fdopen(fd, "w" if fd else "r", encoding="utf-8", closefd=False)
            setattr(sys, name, stream)


if __name__ == "__main__":
    sys.exit(main())
