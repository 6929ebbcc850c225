"""Event listeners, loaded with the first group that wants events: most daemons have none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from supervisor_lite.core.bus import Bus
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.core.topics import GroupsChanged
from supervisor_lite.model.plan import Group

if TYPE_CHECKING:
    from supervisor_lite.controllers.event_listeners.listeners import EventListeners


class EventListenersOnDemand:
    """Makes `EventListeners` when the configuration has any, and keeps it from then on."""

    def __init__(
        self,
        supervisor: Supervisor,
        bus: Bus,
        *,
        identifier: str,
        warn: Callable[[str], None],
        error: Callable[[str], None],
    ) -> None:
        self._supervisor = supervisor
        self._bus = bus
        self._identifier = identifier
        self._warn = warn
        self._error = error
        self._made: EventListeners | None = None
        self._unsubscribe = bus.subscribe(GroupsChanged, self._on_groups_changed)

    def begin(self, groups: Mapping[str, Group], inherited: Mapping[str, Any] | None) -> None:
        """Make the pools, before the first change; `inherited` is from `to_json`, in an upgrade."""
        if _wants_events(groups) or (inherited and inherited.get("members")):
            self._make().begin(groups, inherited)

    def resume(self, *, upgraded: bool) -> None:
        """Go on with listeners that an earlier daemon has started. Called after the adoption."""
        if self._made is not None:
            self._made.resume(upgraded=upgraded)

    def to_json(self) -> dict[str, Any] | None:
        """Return all that the next version of the daemon has to know; part of the handover."""
        return None if self._made is None else self._made.to_json()

    def _on_groups_changed(self, changed: GroupsChanged) -> None:
        if _wants_events(changed.after):
            self._make().on_groups_changed(changed)

    def _make(self) -> EventListeners:
        from supervisor_lite.controllers.event_listeners.listeners import EventListeners

        self._unsubscribe()
        self._made = EventListeners(
            self._supervisor, self._bus, identifier=self._identifier, warn=self._warn,
            error=self._error,
        )  # fmt: skip
        return self._made


def _wants_events(groups: Mapping[str, Group]) -> bool:
    return any(group.events for group in groups.values())
