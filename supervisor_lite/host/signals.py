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


_NO_WAKING = ("KILL", "CONT", "STOP", "TSTP", "TTIN", "TTOU")


def to_end(name: str) -> tuple[int, ...]:
    """Return what a process is sent in order to end it: the signal, and SIGCONT after it.

    A process that was stopped (SIGSTOP, Ctrl-Z) handles its stop signal only when it goes on. Not
    after SIGKILL, which needs no help, nor after one that stops or continues a process itself.
    """
    number = signal_number(name)
    return (number,) if name in _NO_WAKING else (number, signal.SIGCONT)


def send(pidfd: int, number: int) -> None:
    """Send a signal to one process. Raises OSError; ProcessLookupError if it has ended."""
    signal.pidfd_send_signal(pidfd, number)


def end(pidfd: int, leader: int | None, name: str, *, group: bool) -> None:
    """Send a process, or its whole group, a signal that is to end it. Raises OSError.

    One that has ended meanwhile is no error.
    """
    try:
        for number in to_end(name):
            if group:
                send_to_group(pidfd, leader, number)
            else:
                send(pidfd, number)
    except ProcessLookupError:
        return


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
