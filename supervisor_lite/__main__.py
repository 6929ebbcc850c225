"""`python -m supervisor_lite`: the daemon."""

from __future__ import annotations

import os
import sys

from supervisor_lite import handover


def main() -> int:
    """Run the daemon; return its exit code."""
    if os.getpid() == 1:
        handover.block()  # a signal for which PID 1 has no handler yet would just be lost
    # asyncio loads ssl only if it can; the daemon speaks to a Unix socket and saves 5 MB.
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]
    from supervisor_lite.daemon import main as daemon_main

    return daemon_main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
