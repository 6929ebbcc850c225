"""Hear when the kernel kills somebody of a run for want of memory, and know whom.

Its counters (memory.events, cgroups(7)) do not say which process it was. If the main process lives
on, it was another one: that is told, and a later death of the main process has other causes.
Nothing is looked at unless the kernel says that a counter has changed (inotify(7)).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable

from supervisor_lite.host import syscalls
from supervisor_lite.host.cgroup import EVENTS, Killed, killed
from supervisor_lite.host.kernel_files import read_value

_LATER = 1.0
"""Seconds after which who was killed has at least begun to die."""

_PF_EXITING = 0x4
_SIGKILL = 1 << 8
"""Its bit in a mask of signals."""


class _Watched:
    """A run whose counters are watched."""

    __slots__ = ("known", "leader", "path", "timer", "watch")

    def __init__(self, path: str, leader: int) -> None:
        self.path = path
        self.leader = leader
        self.watch = -1
        """Of inotify; negative if there were too many."""
        self.known = 0
        """How many were killed while the main process lived on."""
        self.timer: asyncio.TimerHandle | None = None


class Shortages:
    """Watches the runs of one daemon; costs nothing where the memory controller is not enabled."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, tell: Callable[[int, Killed], None]
    ) -> None:
        """`tell` gets the pid of a main process that lives on after somebody else was killed."""
        self._loop = loop
        self._tell = tell
        self._runs: dict[int, _Watched] = {}
        self._watches: dict[int, _Watched] = {}
        self._inotify = -1

    def add(self, number: int, path: str, leader: int) -> None:
        """Watch a run that is alive, with its cgroup and the pid of its main process."""
        file = f"{path}/{EVENTS}"
        if not os.path.exists(file):
            return
        if self._inotify < 0:
            try:
                self._inotify = syscalls.open_inotify()
            except OSError:
                return  # too many: what the counters say is all that is known then
            self._loop.add_reader(self._inotify, self._on_change)
        watched = self._runs[number] = _Watched(path, leader)
        with contextlib.suppress(OSError):  # too many, likewise
            watched.watch = syscalls.watch_modification(self._inotify, file)
            self._watches[watched.watch] = watched
        count = killed(path).processes
        if count and not dying(leader):  # adopted: an earlier daemon has told of those
            watched.known = count

    def forget(self, number: int) -> None:
        """The run is over."""
        watched = self._runs.pop(number, None)
        if watched is None:
            return
        if watched.timer is not None:
            watched.timer.cancel()
        if self._watches.pop(watched.watch, None) is not None:
            syscalls.end_watch(self._inotify, watched.watch)

    def of_leader(self, number: int, path: str) -> Killed | None:
        """The main process was killed: return for want of what, None if not for that."""
        found = killed(path)
        known = self._runs[number].known if number in self._runs else 0
        return found if found.processes > known else None

    def close(self) -> None:
        """Watch nothing any more."""
        for number in tuple(self._runs):
            self.forget(number)
        if self._inotify >= 0:
            self._loop.remove_reader(self._inotify)
            os.close(self._inotify)
            self._inotify = -1

    def _on_change(self) -> None:
        for watch in syscalls.read_modified(self._inotify):
            watched = self._watches.get(watch)
            if watched is not None and killed(watched.path).processes > watched.known:
                self._soon(watched)

    def _soon(self, watched: _Watched) -> None:
        if watched.timer is None:
            watched.timer = self._loop.call_later(_LATER, self._look, watched)

    def _look(self, watched: _Watched) -> None:
        """If the main process lives, it was not the one that was killed."""
        watched.timer = None
        found = killed(watched.path)
        if found.processes > watched.known and not dying(watched.leader):
            watched.known = found.processes
            self._tell(watched.leader, found)


def dying(pid: int) -> bool:
    """Is this process about to end, or dead already? One whose end is not collected counts."""
    fields = read_value(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not fields or fields[0] in "ZX" or int(fields[6]) & _PF_EXITING:
        return True
    for line in read_value(f"/proc/{pid}/status").splitlines():
        name, _, mask = line.partition(":")
        if name in ("SigPnd", "ShdPnd") and int(mask, 16) & _SIGKILL:
            return True
    return False
