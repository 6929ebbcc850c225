"""What can be subscribed to on the bus, besides `Change`: one small type for each kind of news."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from supervisor_lite.core.process import Process
    from supervisor_lite.logs.filtering import OutputKind
    from supervisor_lite.model.plan import Group
    from supervisor_lite.model.settings import GatewaySettings


class WishWithdrawn(NamedTuple):
    """Nobody wants a process up any more that was not up yet; its state is the same."""

    name: str


class DefinitionChanged(NamedTuple):
    """A process has another definition from now on, and still the same run, if it has one."""

    process: Process


class TableChanged(NamedTuple):
    """A process was put on the table, or taken off it."""


class GroupsChanged(NamedTuple):
    """A new plan is in force, which may have other groups."""

    before: Mapping[str, Group]
    after: Mapping[str, Group]


class GatewayInForce(NamedTuple):
    """What is served over HTTP from now on, and the gid for which the control socket is open."""

    gateway: GatewaySettings | None
    group: int | None


class OutputSeen(NamedTuple):
    """A process has written what its definition says that others want to see."""

    process: Process
    stream: str
    """stdout or stderr."""
    kind: OutputKind
    data: str | bytes
    """Text; of an event listener's answer, bytes."""


class RemoteEvent(NamedTuple):
    """Somebody has sent an event for event listeners over the control socket."""

    kind: str
    data: str


class DaemonStateChanged(NamedTuple):
    """The daemon begins to end, or is itself again after a reload."""

    state: str
    """RUNNING or STOPPING, as event listeners get it."""
