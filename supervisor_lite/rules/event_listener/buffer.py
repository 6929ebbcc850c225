"""The events that wait for a pool of listeners: what is kept, what is dropped, what is next."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from supervisor_lite.rules.event_listener.payloads import ListenerEvent

MAX_STARTUP_EVENTS = 10_000
MAX_STARTUP_CHARACTERS = 4 << 20
"""How much is kept at most until the first listener of a pool has caught up."""

MIN_RETRY_DELAY = 0.1
MAX_RETRY_DELAY = 5.0
"""Seconds before an event that was rejected more than once is sent again."""


class QueuedEvent(NamedTuple):
    """An event on its way to a pool."""

    serial: int
    """Counted for all pools together, from 0 in the life of a daemon."""
    poolserial: int
    name: str
    payload: str
    early: bool = False
    """It came before the first listener had caught up with what had waited for it."""

    def message(self, identifier: str, pool: str) -> bytes:
        """Return what a listener reads. `len` counts characters, as in Supervisor, not bytes."""
        head = (
            f"ver:3.0 server:{identifier} serial:{self.serial} pool:{pool}"
            f" poolserial:{self.poolserial} eventname:{self.name} len:{len(self.payload)}\n"
        )
        return (head + self.payload).encode(errors="backslashreplace")


class EventBuffer:
    """The events of one pool that nobody has dealt with yet, in their order.

    At most `size` wait; one more drops the oldest. What comes before the first listener has caught
    up is not counted: nothing is lost only because listeners take a while to start.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.serial = 0
        """The poolserial of the next event."""
        self.dropped = 0
        """Events that there was no room for."""
        self.caught_up = False
        """Everything that waited for the first listener has been sent."""
        self._early: deque[QueuedEvent] = deque()
        self._late: deque[QueuedEvent] = deque()
        self._characters = 0

    def __len__(self) -> int:
        return len(self._early) + len(self._late)

    def __bool__(self) -> bool:
        return bool(self._early or self._late)

    def add(self, serial: int, event: ListenerEvent) -> QueuedEvent | None:
        """Append a new event; return the one that had to be dropped for it."""
        queued = QueuedEvent(serial, self.serial, event.name, event.payload, not self.caught_up)
        self.serial += 1
        return self._append(queued)

    def requeue(self, event: QueuedEvent) -> QueuedEvent | None:
        """Put an event that was not dealt with before all others; return the one dropped."""
        queue = self._early if event.early else self._late
        dropped = self._make_room(queue, event)
        queue.appendleft(event)
        return dropped

    def _append(self, event: QueuedEvent) -> QueuedEvent | None:
        queue = self._early if event.early else self._late
        dropped = self._make_room(queue, event)
        queue.append(event)
        return dropped

    def _make_room(self, queue: deque[QueuedEvent], event: QueuedEvent) -> QueuedEvent | None:
        """Make room for an event; return what was dropped."""
        if queue is self._late:
            return self._drop(queue) if len(queue) >= self.size else None
        self._characters += len(event.payload)
        if len(queue) < MAX_STARTUP_EVENTS and self._characters <= MAX_STARTUP_CHARACTERS:
            return None
        if not queue:
            return None
        dropped = self._drop(queue)
        self._characters -= len(dropped.payload)
        return dropped

    def _drop(self, queue: deque[QueuedEvent]) -> QueuedEvent:
        self.dropped += 1
        return queue.popleft()

    def pop(self) -> QueuedEvent:
        """Remove and return the event that is next; there must be one."""
        event = self._early.popleft() if self._early else self._late.popleft()
        if event.early:
            self._characters -= len(event.payload)
        self.caught_up = self.caught_up or not self
        return event

    # For the next version of the daemon.

    def to_json(self) -> dict[str, Any]:
        """Return what waits, for `restore`; the keys are read by other versions of the daemon."""
        waiting = [event._asdict() for event in (*self._early, *self._late)]
        return {
            "serial": self.serial,
            "caught_up": self.caught_up,
            "waiting": waiting,
            "dropped": self.dropped,
        }

    def restore(self, values: dict[str, Any]) -> None:
        """Go on with what `to_json` described. Raises KeyError or TypeError."""
        waiting = [QueuedEvent(**event) for event in values["waiting"]]
        self.serial, self.caught_up = int(values["serial"]), bool(values["caught_up"])
        for event in waiting:
            self._append(event)
        self.dropped = int(values.get("dropped", 0))


def retry_delay(rejections: int) -> float:
    """Return the seconds before the next try, after so many rejections in a row.

    The first is sent again at once, as Supervisor does; who rejects everything must not keep the
    daemon busy.
    """
    if rejections < 2:
        return 0.0
    return min(MAX_RETRY_DELAY, MIN_RETRY_DELAY * 2.0 ** min(rejections - 2, 10))
