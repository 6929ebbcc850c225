"""Publish and subscribe: how what happens reaches everyone who wants to know.

A topic is a type: `Change`, or one of topics.py. Whoever publishes knows nobody who subscribes, so
that the layers below can tell those above.

Delivery is synchronous, and in one order for everybody: what a subscriber causes to be published
while it is called is delivered after all others have got what it was called with.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Bus:
    """Deliver each piece of news to every subscriber to its type, in the order of subscription."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """The exception handler of `loop` gets what subscribers raise."""
        self._loop = loop
        self._subscribers: dict[type, dict[int, Callable[[Any], None]]] = {}
        self._next = 0
        self._undelivered: deque[object] = deque()
        self._delivering = False

    def subscribe(self, topic: type[T], callback: Callable[[T], None]) -> Callable[[], None]:
        """Call `callback` with everything of this type from now on; return the way to stop that.

        A subscriber must not block. What it raises is reported and concerns nobody else.
        """
        subscribers = self._subscribers.setdefault(topic, {})
        key = self._next
        self._next += 1
        subscribers[key] = callback

        def unsubscribe() -> None:
            subscribers.pop(key, None)

        return unsubscribe

    def has_subscribers(self, topic: type) -> bool:
        """Does anybody want to know? If not, there is no need to make what would be published."""
        return bool(self._subscribers.get(topic))

    def publish(self, *news: object) -> None:
        """Deliver each to everyone who has subscribed to its type, in this order.

        From within a subscriber: after what is being delivered, and what was published before.
        Whoever subscribes meanwhile does not get it, whoever unsubscribes meanwhile neither.
        """
        self._undelivered.extend(news)
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._undelivered:
                self._deliver(self._undelivered.popleft())
        finally:
            self._delivering = False

    def _deliver(self, news: object) -> None:
        subscribers = self._subscribers.get(type(news))
        if not subscribers:
            return
        for key, callback in tuple(subscribers.items()):
            if key not in subscribers:
                continue
            try:
                callback(news)
            except Exception as error:  # noqa: BLE001 one subscriber must not keep news from others
                message = f"a subscriber to {type(news).__name__} failed"
                self._loop.call_exception_handler({"message": message, "exception": error})
