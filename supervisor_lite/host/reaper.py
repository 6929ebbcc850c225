"""The only reaper: pidfd -> exit.

Every child and every adopted process has a pidfd in the event loop. A wake-up reaps everything
that is dead, so that exits which came together are handled together. Orphans, which a child
subreaper inherits (prctl(2)), are reaped here too, woken by SIGCHLD.

Nothing else in the daemon may wait: `Popen.wait`, `asyncio.subprocess` and `waitpid(-1)` would
steal exit codes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import select
import signal
from collections.abc import Callable
from typing import NamedTuple

from supervisor_lite.host import syscalls
from supervisor_lite.host.exit_status import exit_from_status, exit_of_reaped, exit_of_zombie
from supervisor_lite.model.exit import Exit

_BATCH = 64
"""Exits that are told in one iteration of the event loop; in between clients are answered."""
_REAP_WAIT = 3.0
"""Seconds that an adopted process may be dead but not reaped by whoever inherited it."""


class Ended(NamedTuple):
    """One reaped process of ours."""

    pid: int
    exit: Exit
    usage: Usage | None = None


class Usage(NamedTuple):
    """What a run has used (getrusage(2)); unknown for adopted runs."""

    maxrss: int | None
    """Bytes; None where the kernel has no more to tell than what we had in memory at the fork."""
    utime: float
    stime: float


def _own_peak(used: resource.struct_rusage) -> int | None:
    """Return the most memory that a child has had, in bytes; None if that is not known.

    Before its exec a child has our memory, and the kernel counts that, too (setmax_mm_hiwater_rss).
    """
    # What the kernel counts for us begins with what we were before our own exec: it is too much.
    if used.ru_maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
        return used.ru_maxrss * 1024
    try:
        with open("/proc/self/status", "rb", buffering=0) as file:
            ours = int(file.read(4096).partition(b"VmHWM:")[2].split(None, 1)[0])
    except (OSError, IndexError):  # no descriptor is left, or no /proc is there
        return None
    return used.ru_maxrss * 1024 if used.ru_maxrss > ours else None


def become_subreaper() -> bool:
    """Let orphaned descendants become our children (prctl(2)); False if the kernel refuses."""
    try:
        syscalls.become_subreaper()
    except OSError:
        return False
    return True


def _child_signals() -> int:
    """Return a descriptor that is readable when children have ended (signalfd(2)).

    A handler would be called once per child and wake the loop by a byte each time: when a thousand
    end at once those bytes overflow, and with them the byte of a SIGTERM. Blocked signals of one
    kind are one signal. Children are spawned with an empty mask.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))
    return syscalls.open_signalfd((signal.SIGCHLD,))


class Reaper:
    """Watches processes; tells about those that ended, all of one wake-up in one call."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_ended: Callable[[list[Ended]], None],
        on_orphan: Callable[[int], None],
    ) -> None:
        self._loop = loop
        self._on_ended = on_ended
        self._on_orphan = on_orphan
        self._children: dict[int, int] = {}  # pid -> pidfd
        self._adopted: dict[int, int] = {}
        self._waiting: dict[int, tuple[select.epoll, asyncio.TimerHandle]] = {}
        self._untold: list[Ended] = []
        """Adopted processes that have ended in this iteration of the loop."""
        self._helpers: dict[int, Callable[[Exit], None]] = {}
        self._signals = -1
        self._sweep_planned = False

    def start(self) -> None:
        """Begin to reap our children, orphans too."""
        self._signals = _child_signals()
        self._loop.add_reader(self._signals, self._on_child_signal)
        self._loop.call_soon(self._sweep)

    def stop(self) -> None:
        """Watch nothing any more; no process is touched."""
        if self._signals >= 0:
            self._loop.remove_reader(self._signals)
            os.close(self._signals)
            self._signals = -1
        for pidfd in self._adopted.values():
            self._loop.remove_reader(pidfd)
        for pid in tuple(self._waiting):
            self._stop_waiting(pid)
        self._children.clear()
        self._adopted.clear()
        self._untold.clear()

    def watch(self, pid: int, pidfd: int) -> None:
        """Watch a child of ours. The pidfd stays the caller's, open until it is told the end."""
        self._children[pid] = pidfd

    def watch_adopted(self, pid: int, pidfd: int) -> None:
        """Watch a process that may be somebody else's child."""
        self._adopted[pid] = pidfd
        self._loop.add_reader(pidfd, self._adopted_ended, pid)

    def watch_helper(self, pid: int, ended: Callable[[Exit], None]) -> None:
        """Watch a child of our own that is no run; `ended` is called once."""
        self._helpers[pid] = ended

    def is_watched(self, pid: int) -> bool:
        """Is this the main process of a run?"""
        return pid in self._children or pid in self._adopted or pid in self._helpers

    def children(self) -> set[int]:
        """Return the pids of the children that we watch."""
        return set(self._children)

    def _on_child_signal(self) -> None:
        syscalls.read_signalfd(self._signals)  # one, however many have ended
        self._sweep()

    def _plan_sweep(self) -> None:
        """Go on in the next iteration of the event loop."""
        if not self._sweep_planned:
            self._sweep_planned = True
            self._loop.call_soon(self._sweep)

    def _sweep(self) -> None:
        """Reap everything that is dead, then tell about it."""
        self._sweep_planned = False
        ended: list[Ended] = []
        while True:
            if len(ended) == _BATCH:
                self._plan_sweep()
                break
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if info is None:
                break
            pid = info.si_pid
            # Not reaped yet, so the pid is still this child's: wait4 reaps exactly it, and
            # unlike waitid it also tells what was used.
            _, status, used = os.wait4(pid, 0)
            pidfd = self._children.pop(pid, None)
            if pidfd is None:
                pidfd = self._adopted.pop(pid, None)  # inherited after an upgrade or by luck
                if pidfd is not None:
                    self._loop.remove_reader(pidfd)
            if pidfd is None:
                helper = self._helpers.pop(pid, None)
                if helper is not None:
                    helper(exit_from_status(status))
                else:
                    self._on_orphan(pid)
                continue
            usage = Usage(_own_peak(used), used.ru_utime, used.ru_stime)
            ended.append(Ended(pid, exit_from_status(status), usage))
        if ended:
            self._on_ended(ended)

    def _adopted_ended(self, pid: int) -> None:
        """It is dead; how it ended is known now, or when its parent has reaped it."""
        pidfd = self._adopted[pid]
        self._loop.remove_reader(pidfd)
        try:
            os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            pass
        else:  # our own child after all
            self._children[pid] = self._adopted.pop(pid)
            self._sweep()
            return
        if (found := exit_of_zombie(pid, pidfd)) is not None:
            # The pid 1 of many a container reaps late, or never.
            del self._adopted[pid]
            self._tell_together(Ended(pid, found))
            return
        # EPOLLHUP comes when it is reaped; asked for with no events, in an epoll of its own,
        # because the loop would wake up for ever on the EPOLLIN that is there already.
        poll = select.epoll()
        poll.register(pidfd, 0)
        timer = self._loop.call_later(_REAP_WAIT, self._adopted_reaped, pid)
        self._waiting[pid] = poll, timer
        self._loop.add_reader(poll.fileno(), self._adopted_reaped, pid)

    def _adopted_reaped(self, pid: int) -> None:
        self._stop_waiting(pid)
        pidfd = self._adopted.pop(pid)
        self._tell_together(Ended(pid, exit_of_reaped(pidfd) or Exit()))

    def _tell_together(self, ended: Ended) -> None:
        """Tell it with all others of this iteration: what they leave is searched for in one go."""
        self._untold.append(ended)
        if len(self._untold) == 1:
            self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        ended, self._untold = self._untold, []
        if ended:
            self._on_ended(ended)

    def _stop_waiting(self, pid: int) -> None:
        poll, timer = self._waiting.pop(pid)
        timer.cancel()
        with contextlib.suppress(ValueError):
            self._loop.remove_reader(poll.fileno())
        poll.close()
