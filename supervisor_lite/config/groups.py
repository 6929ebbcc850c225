"""From [program], [group] and [eventlistener] tables to the plan: every process in its group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from sys import intern
from typing import TYPE_CHECKING, Any

from supervisor_lite.config.outputs import Outputs
from supervisor_lite.config.programs import Programs, is_numbered
from supervisor_lite.config.schema.eventlistener import LISTENER
from supervisor_lite.config.schema.group import GROUP
from supervisor_lite.config.schema.program import PROGRAM
from supervisor_lite.config.types.text import NAME
from supervisor_lite.config.wording import dotted
from supervisor_lite.model.plan import Group, Plan
from supervisor_lite.text import suggest

if TYPE_CHECKING:
    from supervisor_lite.config.advise import Finder
    from supervisor_lite.config.expand import Names
    from supervisor_lite.config.read import Entry, Reader, Tables
    from supervisor_lite.model.program import Program
    from supervisor_lite.model.settings import DaemonSettings

_POOL_KEYS = [key for key in LISTENER.keys if key.name not in PROGRAM.by_name()]


def resolve_plan(
    tables: Tables,
    settings: DaemonSettings,
    reader: Reader,
    names: Names,
    files: Iterable[str],
    find: Finder | None = None,
) -> Plan:
    """Return the plan. `files` are the absolute paths of the configuration.

    `find` tells what would keep a process from being started.
    """
    outputs = Outputs(settings, reader.diagnostics, files)
    programs = Programs(settings, reader, names, outputs, find)
    plan = _Planner(tables, reader, names, programs).plan()
    outputs.check_rotated()
    return plan


class _Planner:
    """The work of `resolve_plan`."""

    def __init__(self, tables: Tables, reader: Reader, names: Names, programs: Programs) -> None:
        self._programs = tables.named.get("program", {})
        self._listeners = tables.named.get("eventlistener", {})
        self._groups = tables.named.get("group", {})
        self._defined = {**self._listeners, **self._programs}
        self._complete = tables.complete
        self._reader = reader
        self._diagnostics = reader.diagnostics
        self._names = names
        self._resolver = programs
        self._grouped: set[str] = set()
        """Programs that are in a group of several."""

    def plan(self) -> Plan:
        for table in (self._programs, self._groups, self._listeners):
            self._check_keys(table)
        groups = {name: self._group(name, entry) for name, entry in self._groups.items()}
        for name, entry in self._programs.items():
            if name not in self._grouped and name not in groups:
                groups[name] = self._single(name, entry)
        for name, entry in self._listeners.items():
            if name in groups:
                other = (self._groups.get(name) or self._programs[name]).location
                text = f"has the name of {dotted(other.path)} ({other})"
                self._diagnostics.error(entry.location, text)
            else:
                groups[name] = self._pool(name, entry)
        return Plan(groups=groups)

    def _check_keys(self, table: Mapping[str, Entry]) -> None:
        """Report names that cannot be."""
        for name, entry in table.items():
            self._reader.value(NAME, name.replace("%", "%%"), entry.location, self._names)

    def _single(self, name: str, entry: Entry) -> Group:
        """Return the group of its own that a program is which no group lists."""
        processes = tuple(self._resolver.processes(name, entry, name))
        priority = self._resolver.priority(name, entry)
        self._check_names(processes)
        return Group(name=name, priority=priority, processes=processes)

    def _pool(self, name: str, entry: Entry) -> Group:
        """Return the group that the processes of an event listener are."""
        values: dict[str, Any] = self._reader.read(
            entry, _POOL_KEYS, self._resolver.names(name, entry, name)
        )
        values.pop("result_handler", None)
        if entry.raw.get("redirect_stderr") is True:
            text = "cannot be true: what a listener writes to stdout is its answers"
            self._diagnostics.error(entry.at("redirect_stderr"), text)
        processes = tuple(self._resolver.processes(name, entry, name, listener=True))
        self._check_names(processes)
        priority = self._resolver.priority(name, entry, listener=True)
        return Group(name=intern(name), priority=priority, processes=processes, **values)

    def _group(self, name: str, entry: Entry) -> Group:
        """Return a group with the processes of its members."""
        names = self._names.plus({"here": entry.here, "group_name": name})
        fields: dict[str, Any] = self._reader.read(entry, GROUP.keys, names)
        members: tuple[str, ...] = fields.pop("programs", ())
        processes: list[Program] = []
        for index, member in enumerate(members):
            if text := self._member_error(member, members[:index]):
                self._diagnostics.error(entry.location / "programs" / index, text)
            elif member in self._programs:
                self._grouped.add(member)
                processes += self._resolver.processes(member, self._programs[member], name)
        if name in self._programs and name not in members:
            other = self._programs[name].location
            text = f"has the name of {dotted(other.path)} ({other}), which is not in this group"
            self._diagnostics.error(entry.location, text)
        if "programs" not in entry.raw:
            self._diagnostics.warn(entry.location, "has no programs")
        self._check_names(processes)
        return Group(name=intern(name), processes=tuple(processes), **fields)

    def _member_error(self, member: str, before: tuple[str, ...]) -> str:
        """Return why a group cannot list a program; empty if it can, or might."""
        if member in self._programs:
            return f'lists "{member}" twice' if member in before else ""
        if member in self._listeners:
            return f'"{member}" is an event listener, which is a group of its own'
        if not self._complete:
            return ""
        return f'there is no program "{member}"{suggest(member, self._programs)}'

    def _check_names(self, processes: Iterable[Program]) -> None:
        """Report two processes with one name in one group."""
        seen: dict[str, Program] = {}
        for process in processes:
            first = seen.setdefault(process.name, process)
            entry = self._defined[process.program]
            if first is process or (first.program == process.program and not is_numbered(entry)):
                continue  # processes without a number were reported already
            there = self._defined[first.program].at("process_name")
            text = (
                f'the name "{process.name}" is taken in group "{process.group}" by a process of '
                f"{dotted(('program', first.program))} ({there})"
            )
            self._diagnostics.error(entry.at("process_name"), text)
