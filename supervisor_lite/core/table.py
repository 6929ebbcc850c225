"""The table of processes: what the plan defines, and how definitions come, change and go."""

from __future__ import annotations

from collections.abc import Mapping

from supervisor_lite.config.definition import needs_new_child
from supervisor_lite.core.bus import Bus
from supervisor_lite.core.clock import Clock
from supervisor_lite.core.persistence import Persistence
from supervisor_lite.core.process import Process
from supervisor_lite.core.topics import DefinitionChanged, GroupsChanged, TableChanged
from supervisor_lite.model.plan import Group
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record


class ProcessTable:
    """Processes by name, and their groups. Nothing here starts or stops one."""

    def __init__(
        self,
        processes: dict[str, Process],
        clock: Clock,
        bus: Bus,
        persistence: Persistence,
    ) -> None:
        """`processes` is ours to change from now on, and everyone's to read."""
        self.processes = processes
        self.groups: Mapping[str, Group] = {}
        self._clock = clock
        self._bus = bus
        self._persistence = persistence

    def has(self, process: Process) -> bool:
        """Is this the process of its name? If not, it was dropped."""
        return self.processes.get(process.name) is process

    def add(self, program: Program) -> Process:
        """Put a process on the table; it is not started.

        One of this name that was to leave the table and is not down yet stays, and gets this
        definition.
        """
        present = self.processes.get(program.fullname)
        if present is None:
            new = self._put(Process(program, self._clock.wall()))
            self._persistence.remember(new)  # its definition, also if it never starts
            return new
        present.mark_removed(False)
        self.redefine(present, program)
        return present

    def restore(
        self, program: Program, record: Record, since: float, started: float | None
    ) -> Process:
        """Put a process on the table as an earlier daemon knew it; both times by the wall clock."""
        return self._put(Process(program, since, record, started))

    def _put(self, process: Process) -> Process:
        self.processes[process.name] = process
        self._bus.publish(TableChanged())
        return process

    def discard(self, process: Process) -> None:
        """Take a process that is down off the table, and out of the journal."""
        del self.processes[process.name]
        self._persistence.forget(process)
        self._bus.publish(TableChanged())

    def regroup(self, groups: Mapping[str, Group]) -> None:
        """Have the groups of a new plan."""
        before, self.groups = self.groups, dict(groups)
        self._bus.publish(GroupsChanged(before, self.groups))

    def redefine(self, process: Process, program: Program) -> None:
        """Let a process have a newer definition: at once, or when its live child is replaced."""
        down = process.record.pid is None and not process.record.leftovers
        if not down and needs_new_child(process.program, program):
            process.redefine_at_spawn(program)
            return
        put_into_force(process, program)
        self._persistence.remember(process)
        self._bus.publish(DefinitionChanged(process))


def put_into_force(process: Process, program: Program) -> None:
    """Give a process a definition, and its output what that says of it."""
    process.redefine(program)
    if process.logs is not None:
        process.logs.change(program)
