"""A pool of event listeners: which of them gets which event, and what became of it.

Listeners of a pool share their events: each goes to the first that is ready. What waits is
dispatched whenever one becomes ready: it asked for an event, it became RUNNING, or the wait after a
rejection is over. Its answer decides: an event that was accepted is forgotten; one that was
rejected, or whose listener ended before it answered, goes before all others that wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from supervisor_lite.controllers.event_listeners.sessions import ListenerSession
from supervisor_lite.model.plan import Group
from supervisor_lite.rules.event_listener.buffer import EventBuffer, QueuedEvent, retry_delay
from supervisor_lite.rules.event_listener.payloads import ListenerEvent
from supervisor_lite.rules.event_listener.types import expand


class Pool:
    """The listeners of one group, and the events that wait for them."""

    __slots__ = (
        "_dropped", "_first_ready", "_identifier", "_report", "_retry", "buffer", "members",
        "name", "rejections", "wanted",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        identifier: str,
        first_ready: Callable[[Iterable[str]], ListenerSession | None],
        report: Callable[[str], None],
    ) -> None:
        """`identifier` is the daemon's; `first_ready` finds a listener by names of processes."""
        self.name = name
        self.buffer = EventBuffer(0)
        self.wanted: frozenset[str] = frozenset()
        """Names of events."""
        self.members: tuple[str, ...] = ()
        """Names of processes, in the order in which they are offered an event."""
        self.rejections = 0
        """How often its listeners have rejected an event since one was accepted."""
        self._identifier = identifier
        self._first_ready = first_ready
        self._report = report
        self._retry: asyncio.TimerHandle | None = None
        """Set while the pool waits after rejections; nothing is sent meanwhile."""
        self._dropped = 0
        """Events that did not fit, since one could be sent."""

    def configure(self, group: Group) -> None:
        """Do as the definition of the group says from now on; what waits stays."""
        self.buffer.size = group.buffer_size
        self.wanted = expand(group.events)
        self.members = tuple(program.fullname for program in group.processes)

    def close(self) -> None:
        """Send nothing any more: the group is gone."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def add(self, serial: int, event: ListenerEvent) -> None:
        """Queue an event, and send it if a listener is ready."""
        self._report_dropped(self.buffer.add(serial, event))
        self.dispatch()

    def dispatch(self) -> None:
        """Send what waits, as long as a listener is ready for it."""
        while self.buffer and self._retry is None:
            session = self._first_ready(self.members)
            if session is None:
                return
            if self._dropped > 1:
                self._report(f"pool {self.name}: {self._dropped} events were discarded")
            self._dropped = 0
            event = self.buffer.pop()
            session.send(event, event.message(self._identifier, self.name))

    def requeue(self, session: ListenerSession) -> None:
        """Have the event of a listener, if it has one, wait again before all others."""
        event, session.event = session.event, None
        if event is not None:
            self._report_dropped(self.buffer.requeue(event))

    def reject(self, session: ListenerSession) -> None:
        """Send its event again: at once, or after a while if one was rejected before."""
        if session.event is None:
            return
        self.requeue(session)
        self.rejections += 1
        delay = retry_delay(self.rejections)
        if delay and self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(delay, self._on_retry)
        else:
            self.dispatch()

    def _on_retry(self) -> None:
        self._retry = None
        self.dispatch()

    def _report_dropped(self, event: QueuedEvent | None) -> None:
        """Report the first event that was dropped; the others are counted until one is sent."""
        if event is None:
            return
        self._dropped += 1
        if self._dropped == 1:
            serial = event.serial
            self._report(f"pool {self.name} event buffer overflowed, discarding event {serial}")
