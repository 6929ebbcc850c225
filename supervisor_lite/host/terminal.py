"""The terminal from which a process in the foreground was started (tty(4))."""

from __future__ import annotations

import os


def has_terminal() -> bool:
    """Have we a controlling terminal? One that was closed is none any more."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True
