"""Know when the kernel kills a process of a run for want of memory, and which.

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
from supervisor_lite.host.cgroup import MEMORY_EVENTS, OomKill, oom_kills
from supervisor_lite.host.procfs import is_dying

_DYING_TIME = 1.0
"""Seconds after which who was killed has at least begun to die."""


class _Watched:
    """A run whose counters are watched."""

    __slots__ = ("known", "path", "root", "timer", "watch")

    def __init__(self, path: str, root: int) -> None:
        self.path = path
        self.root = root
        self.watch = -1
        """Of inotify; negative if there were too many."""
        self.known = 0
        """How many were killed while the main process lived on."""
        self.timer: asyncio.TimerHandle | None = None


class OomWatcher:
    """Watches the runs of one daemon; costs nothing where the memory controller is not enabled."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_kill: Callable[[int, OomKill], None]
    ) -> None:
        """`on_kill` gets the pid of a main process that lives on after somebody else was killed."""
        self._loop = loop
        self._on_kill = on_kill
        self._runs: dict[int, _Watched] = {}
        self._watches: dict[int, _Watched] = {}
        self._inotify = -1

    def add(self, number: int, path: str, root: int) -> None:
        """Watch a run that is alive, with its cgroup and the pid of its main process."""
        file = f"{path}/{MEMORY_EVENTS}"
        if not os.path.exists(file):
            return
        if self._inotify < 0:
            try:
                self._inotify = syscalls.open_inotify()
            except OSError:
                return  # too many: what the counters say is all that is known then
            self._loop.add_reader(self._inotify, self._on_change)
        watched = self._runs[number] = _Watched(path, root)
        with contextlib.suppress(OSError):  # too many, likewise
            watched.watch = syscalls.watch_modification(self._inotify, file)
            self._watches[watched.watch] = watched
        count = oom_kills(path).processes
        if count and not is_dying(root):  # adopted: an earlier daemon has told of those
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

    def kill_of_root(self, number: int, path: str) -> OomKill | None:
        """The main process was killed: return for want of what, None if not for that."""
        found = oom_kills(path)
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
            if watched is not None and oom_kills(watched.path).processes > watched.known:
                self._look_later(watched)

    def _look_later(self, watched: _Watched) -> None:
        if watched.timer is None:
            watched.timer = self._loop.call_later(_DYING_TIME, self._look, watched)

    def _look(self, watched: _Watched) -> None:
        """If the main process lives, it was not the one that was killed."""
        watched.timer = None
        found = oom_kills(watched.path)
        if found.processes > watched.known and not is_dying(watched.root):
            watched.known = found.processes
            self._on_kill(watched.root, found)
