"""The TICK events of event listeners: a timer exactly while somebody wants them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Set

from supervisor_lite.rules.event_listener import payloads
from supervisor_lite.rules.event_listener.payloads import ListenerEvent
from supervisor_lite.rules.event_listener.types import TICKS, timeslice


class Ticks:
    """Publishes a TICK at each start of its period, by the wall clock as Supervisor does."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, publish: Callable[[ListenerEvent], None]
    ) -> None:
        self._loop = loop
        self._publish = publish
        self._timer: asyncio.TimerHandle | None = None
        self._slices: dict[str, int] = {}
        """By event that is wanted: the start of the period that was published last."""

    def want(self, names: Set[str]) -> None:
        """Publish these events from now on, and no other; names of other events are ignored."""
        now = time.time()
        self._slices = {
            name: self._slices.get(name, timeslice(name, now)) for name in TICKS if name in names
        }
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._slices:
            period = min(TICKS[name] for name in self._slices)
            self._timer = self._loop.call_later(period - now % period, self._on_timer)

    def _on_timer(self) -> None:
        now = time.time()
        for name, last in tuple(self._slices.items()):
            current = timeslice(name, now)
            if current != last:
                self._slices[name] = current
                self._publish(payloads.of_tick(name, now))
        self.want(self._slices.keys())
