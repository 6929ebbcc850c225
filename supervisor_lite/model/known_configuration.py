"""What the journal keeps of a configuration, for a daemon that finds a broken one."""

from __future__ import annotations

from typing import NamedTuple

from supervisor_lite.model.settings import DaemonSettings, GatewaySettings


class KnownGroup(NamedTuple):
    """A group without the definitions of its processes, which the journal has anyway."""

    name: str
    priority: int = 999
    events: tuple[str, ...] = ()
    buffer_size: int = 10
    processes: tuple[str, ...] = ()
    """Their full names, in the group's order."""


class KnownConfiguration(NamedTuple):
    """The configuration that is in force."""

    config: str
    """The absolute path of its main file or directory."""
    settings: DaemonSettings
    groups: tuple[KnownGroup, ...] = ()
    gateway: GatewaySettings | None = None
    """Its users without their passwords."""
