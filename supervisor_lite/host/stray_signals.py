"""Signals that mean nothing to the daemon, and that would end it: told once each, and ignored.

They are blocked and read from a descriptor (signalfd(2)), which also says who has sent them; each
is ignored from its second time on, so a flood of them wakes nobody. Children get an empty mask and
default dispositions, as always. A real fault (SIGSEGV and the like) ends us though it is blocked.
"""

from __future__ import annotations

import os
import signal
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from supervisor_lite.host import syscalls

if TYPE_CHECKING:
    import asyncio  # blocked before that, and what it would bring along, is loaded

_MEANT = frozenset(
    (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP,
     signal.SIGUSR2, signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH,
     signal.SIGABRT)
)  # fmt: skip
"""What has a meaning, cannot be caught or does nothing. SIGABRT ends us with a core dump, for the
watchdog of a service manager."""

_SENDER = struct.Struct("IiiII")
"""The beginning of struct signalfd_siginfo: number, errno, code, pid and uid of the sender."""

STRAY = frozenset(signal.valid_signals()) - _MEANT


def block() -> None:
    """Let stray signals wait; they may come before there is anybody to read them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STRAY)


class StraySignals:
    """Reads them as long as the daemon lives."""

    def __init__(self, loop: asyncio.AbstractEventLoop, report: Callable[[str, str], None]) -> None:
        """`report` gets the name of a signal and who has sent it, in words."""
        self._loop = loop
        self._report = report
        self._fd = -1

    def begin(self) -> None:
        """Read them from now on."""
        block()
        self._fd = syscalls.open_signalfd(STRAY)
        self._loop.add_reader(self._fd, self._on_signal)

    def _on_signal(self) -> None:
        for number, pid, uid in _senders(self._fd):
            signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))
            if pid != os.getpid():  # a pipe of ours whose reader has gone
                self._report(name_of(number), f"pid {pid}, uid {uid}" if pid else "the kernel")

    def close(self) -> None:
        """Read them no more."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


def _senders(fd: int) -> Iterator[tuple[int, int, int]]:
    """Take all pending signals off; yield number, and pid and uid of who has sent it."""
    while True:
        try:
            data = syscalls.read_signalfd(fd)
        except BlockingIOError:
            return
        number, _, _, pid, uid = _SENDER.unpack_from(data)
        yield number, pid, uid


def name_of(number: int) -> str:
    """Return the name of a signal: SIGALRM, SIGRTMIN+3."""
    if signal.SIGRTMIN < number < signal.SIGRTMAX:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
    return signal.Signals(number).name
