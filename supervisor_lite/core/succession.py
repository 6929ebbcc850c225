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
        notify: Callable[[Process, Event], None],
    ) -> None:
        """`notify` is called with each replacement."""
        self._context = context
        self._trees = trees
        self._reaper = reaper
        self._notify = notify

    def follow(self, process: Process, left: Collection[Stat]) -> int | None:
        """Return the pid of the new main process; None if there is none, and the run is over.

        `left`: who is left of the run. One that was told to stop is not followed.
        """
        record = process.record
        if not left or record.state not in UP or record.run is None or record.pid is None:
            return None
        program = process.program
        found = self._trees.successor(record.run, left, program.pidfile, program.environment)
        pidfd = open_exactly(found) if found is not None else None
        if found is None or pidfd is None:
            return None
        identity = identify(found.pid, pidfd)
        if identity is None:
            os.close(pidfd)
            return None
        where = (identity.boot, identity.start, identity.inode)
        self._context.journal.record_replacement(record.run, found.pid, *where)
        self._context.unstore(f"run-{record.run}")
        self._context.store(f"run-{record.run}", pidfd)
        self._trees.replace_root(record.run, found)
        child = found.ppid == os.getpid()
        process.replace_main(pidfd, child=child)
        if child:
            self._reaper.watch(found.pid, pidfd)
        else:
            self._reaper.watch_adopted(found.pid, pidfd)
        self._notify(process, MainReplaced(record.run, found.pid))
        return found.pid
