"""A pool of event listeners: which of them gets which event, and what became of it.

Listeners of a pool share their events: each goes to the first that is ready. What waits is
dispatched whenever one becomes ready: it asked for an event, it became RUNNING, or the wait after a
rejection is over. Its answer decides: an event that was accepted is forgotten; one that was
rejected, or whose listener ended before it answered, goes before all others that wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from supervisor_lite.controllers.event_listeners.sessions import ListenerSession
from supervisor_lite.model.plan import Group
from supervisor_lite.rules.event_listener.buffer import EventBuffer, QueuedEvent, retry_delay
from supervisor_lite.rules.event_listener.payloads import ListenerEvent
from supervisor_lite.rules.event_listener.trouble import QUIET
from supervisor_lite.rules.event_listener.types import expand


class Pool:
    """The listeners of one group, and the events that wait for them."""

    __slots__ = (
        "_first_ready", "_identifier", "_is_reported", "_overflowed", "_report", "_reported",
        "_retry", "buffer", "dropping", "members", "name", "rejections", "wanted",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        identifier: str,
        first_ready: Callable[[Iterable[str]], ListenerSession | None],
        report: Callable[[str], None],
        overflowed: Callable[[Pool], None] = lambda pool: None,
    ) -> None:
        """`identifier` is the daemon's; `first_ready` finds a listener by names of processes.

        `overflowed` is called when an event was dropped, where that is news.
        """
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
        self._overflowed = overflowed
        self._is_reported = False
        """It was reported that `dropping` is not 0."""
        self._reported = -QUIET
        """When it was reported last that an event was dropped; monotonic."""
        self._retry: asyncio.TimerHandle | None = None
        """Set while the pool waits after rejections; nothing is sent meanwhile."""
        self.dropping = 0
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
            self._report_total()
            self.dropping = 0
            event = self.buffer.pop()
            session.send(event, event.message(self._identifier, self.name))

    def to_json(self) -> dict[str, Any]:
        """Return what waits, for `restore`; part of the handover to another version."""
        return {**self.buffer.to_json(), "dropping": self.dropping}

    def restore(self, values: dict[str, Any]) -> None:
        """Go on with what `to_json` described. Raises KeyError, TypeError or ValueError."""
        self.buffer.restore(values)
        self.dropping = int(values.get("dropping", 0))

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
        """Report the first event that was dropped; the others are counted until one is sent.

        A listener that is a little too slow all the time is worth a line a minute.
        """
        if event is None:
            return
        self.dropping += 1
        now = time.monotonic()
        if self.dropping == 1 and now - self._reported >= QUIET:
            self._reported = now
            self._is_reported = True
            serial = event.serial
            self._report(f"pool {self.name} event buffer overflowed, discarding event {serial}")
            self._overflowed(self)

    def _report_total(self) -> None:
        """Report how many were dropped, if the first of them was reported."""
        if self._is_reported and self.dropping > 1:
            self._report(f"pool {self.name}: {self.dropping} events were discarded")
        self._is_reported = False
