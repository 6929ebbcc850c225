"""Groups, the plan, and the whole configuration: what should exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from supervisor_lite.model.constants import NOTHING
from supervisor_lite.model.program import Program
from supervisor_lite.model.settings import DaemonSettings, GatewaySettings
from supervisor_lite.model.sources import Sources


class Group(NamedTuple):
    """Processes that are named, started and stopped together."""

    name: str
    priority: int = 999
    processes: tuple[Program, ...] = ()
    events: tuple[str, ...] = ()
    """What its listeners want to hear of; empty: this is no pool of event listeners."""
    buffer_size: int = 10
    """How many events may wait for its listeners."""


class Plan(NamedTuple):
    """Everything that the configuration says should exist."""

    groups: Mapping[str, Group] = NOTHING

    def processes(self) -> Iterator[Program]:
        """Yield every process, by group name, then in its group's order."""
        for name in sorted(self.groups):
            yield from self.groups[name].processes


class Configuration(NamedTuple):
    """What one reading of the configuration gives."""

    settings: DaemonSettings
    plan: Plan
    gateway: GatewaySettings | None = None
    """None: no HTTP at all."""
    files: tuple[str, ...] = ()
    """Every file that was read, the main one first."""
    warnings: tuple[str, ...] = ()
    """What is legal but probably not meant, e.g. an include that matches nothing."""
    refused: tuple[str, ...] = ()
    """What is wrong with the configuration on disk, in whose place this one is used."""
    sources: Sources = Sources()
    """What was looked at; nothing if this was not read from files."""
