"""A run that goes on with another main process; host/succession.py says how that is known."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

from supervisor_lite.core.context import EngineContext
from supervisor_lite.core.process import Process
from supervisor_lite.host.identity import identify
from supervisor_lite.host.process_trees import ProcessTrees
from supervisor_lite.host.procfs import Stat
from supervisor_lite.host.reaper import Reaper
from supervisor_lite.host.terminate import open_exactly
from supervisor_lite.model.events import Event, MainReplaced
from supervisor_lite.model.states import UP


class Succession:
    """Has a run go on after its main process has ended, if another one has taken its place."""

    def __init__(
        self,
        context: EngineContext,
        trees: ProcessTrees,
        reaper: Reaper,
        by_pid: dict[int, Process],
        notify: Callable[[Process, Event], None],
    ) -> None:
        """`by_pid` is where main processes are looked up; `notify` gets each replacement."""
        self._context = context
        self._trees = trees
        self._reaper = reaper
        self._by_pid = by_pid
        self._notify = notify

    def is_possible(self, process: Process) -> bool:
        """May a program yet name its main process in a file? Not if it was told to stop."""
        return process.program.pidfile is not None and process.record.state in UP

    def follow(self, process: Process, left: Collection[Stat]) -> bool:
        """Return whether there is a new main process among those left, and the run goes on.

        One that was told to stop is not followed.
        """
        record = process.record
        if not left or record.state not in UP or record.run is None or record.pid is None:
            return False
        found = self._trees.successor(record.run, left, process.program)
        pidfd = open_exactly(found) if found is not None else None
        if found is None or pidfd is None:
            return False
        identity = identify(found.pid, pidfd)
        if identity is None:
            os.close(pidfd)
            return False
        where = (identity.boot, identity.start, identity.inode)
        self._context.journal.record_replacement(record.run, found.pid, *where)
        self._replace(process, record.run, found, pidfd)
        self._notify(process, MainReplaced(record.run, found.pid))
        return True

    def _replace(self, process: Process, run: int, found: Stat, pidfd: int) -> None:
        """Have this process watched, and known to whoever looks for the run."""
        self._context.unstore(f"run-{run}")
        self._context.store(f"run-{run}", pidfd)
        self._trees.replace_root(run, found)
        child = found.ppid == os.getpid()
        process.replace_main(pidfd, child=child)
        self._by_pid[found.pid] = process
        if child:
            self._reaper.watch(found.pid, pidfd)
        else:
            self._reaper.watch_adopted(found.pid, pidfd)
