"""Signals, by name, to processes that a pidfd pins: never to a pid that may be somebody else's."""

from __future__ import annotations

import os
import signal

from supervisor_lite.host import syscalls

# The C library keeps two real-time signals for itself.
DEFAULT_SIGNALS = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
"""What a child gets the default disposition of: all that may be reset."""


def signal_number(name: str) -> int:
    """Return the number of a canonical name ("TERM", "RTMIN+1"). Raises KeyError, ValueError."""
    base, _, offset = name.partition("+")
    return int(signal.Signals[f"SIG{base}"]) + int(offset or 0)


def send(pidfd: int, number: int) -> None:
    """Send a signal to one process. Raises OSError; ProcessLookupError if it has ended."""
    signal.pidfd_send_signal(pidfd, number)


def send_to_group(pidfd: int, leader: int | None, number: int) -> None:
    """Send a signal to the process group that the process leads. Raises OSError.

    By pidfd where the kernel can (Linux >= 6.9). Otherwise by the pid of the leader, which is its
    own as long as nobody has reaped it. A main process that has replaced another one leads none:
    then it is the group that it is in.
    """
    try:
        syscalls.signal_group(pidfd, number)
    except ProcessLookupError:
        if leader is None:
            raise
        group = os.getpgid(leader)
        signal.pidfd_send_signal(pidfd, 0)  # it lives, so that was its group, and is still
        os.killpg(group, number)
    except OSError:
        if leader is None:
            raise
        os.killpg(leader, number)
