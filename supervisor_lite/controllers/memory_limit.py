"""memory_restart: measure the memory of programs that ask for it, restart what has too much.

There is one timer for all of them, for the next that is due, and none while nobody asks or those
who ask do not run. Those that are due at nearly the same time are measured together.
"""

from __future__ import annotations

import asyncio

from supervisor_lite.core.bus import Bus
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.core.topics import DefinitionChanged
from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.change import Change
from supervisor_lite.model.events import Faulted
from supervisor_lite.model.states import State

_EARLY = 0.1
"""The fraction of its interval by which a process may be measured early, to share a measurement."""

_BATCH = 32
"""Process trees that are measured in one iteration of the event loop."""


class MemoryLimit:
    """Watches processes that are RUNNING and have `memory_restart`."""

    def __init__(self, supervisor: Supervisor, bus: Bus, loop: asyncio.AbstractEventLoop) -> None:
        self._supervisor = supervisor
        self._loop = loop
        self._due: dict[str, float] = {}
        """When to measure next, on the clock of the loop, by name."""
        self._timer: asyncio.TimerHandle | None = None
        bus.subscribe(Change, self._on_change)
        bus.subscribe(DefinitionChanged, self._on_definition_changed)

    def begin(self) -> None:
        """Watch those that run already: an earlier daemon has published their changes."""
        for process in self._supervisor.processes.values():
            if process.record.state is State.RUNNING:
                self._watch(process)

    def _on_change(self, change: Change) -> None:
        if change.from_state == change.to_state:
            return
        process = self._supervisor.processes.get(change.name)
        if process is not None and change.to_state == State.RUNNING.name:
            self._watch(process)
        elif self._due.pop(change.name, None) is not None and not self._due:
            self._set_timer()

    def _on_definition_changed(self, changed: DefinitionChanged) -> None:
        process = changed.process
        if process.record.state is State.RUNNING:
            self._due.pop(process.name, None)
            self._watch(process)
            self._set_timer()

    def _watch(self, process: Process) -> None:
        if process.program.memory_restart is None:
            return
        due = self._loop.time() + process.program.memory_check_interval
        self._due[process.name] = due
        if self._timer is None or due < self._timer.when():
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due:
            self._timer = self._loop.call_at(min(self._due.values()), self._measure)

    def _measure(self) -> None:
        """Measure those that are due; restart those that have too much."""
        self._timer = None
        due = self._pop_due()
        used = self._supervisor.runs.memory_used(due)
        for process in due:
            self._watch(process)
            self._enforce(process, used.get(process.name, 0))
        self._set_timer()

    def _pop_due(self) -> list[Process]:
        now = self._loop.time()
        found: list[Process] = []
        for name in sorted(self._due, key=self._due.__getitem__):
            process = self._supervisor.processes.get(name)
            if process is None or process.record.state is not State.RUNNING:
                del self._due[name]
                continue
            early = process.program.memory_check_interval * _EARLY
            if self._due[name] - early > now or len(found) == _BATCH:
                break
            del self._due[name]
            found.append(process)
        return found

    def _enforce(self, process: Process, used: int) -> None:
        limit = process.program.memory_restart
        if limit is None or used <= limit or self._supervisor.stopping:
            return
        cause = Cause(CauseKind.MEMORY_RESTART, used=used, limit=limit)
        self._supervisor.feed(process, Faulted(cause))
