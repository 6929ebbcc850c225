"""Publish and subscribe: how a change of state reaches everyone who wants to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from supervisor_lite.model.change import Change

T = TypeVar("T")


class Bus:
    """Deliver each change to every subscriber, in the order of subscription."""

    def __init__(self) -> None:
        self._subscribers: dict[int, Callable[[Change], None]] = {}
        self._next = 0
        self._unwished: dict[int, Callable[[str], None]] = {}

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` with every change from now on; return the way to stop that.

        A subscriber must not raise and must not block.
        """
        return self._add(self._subscribers, callback)

    def on_giving_up(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback` with the name of each process that is wished down before it was up.

        Its state does not change by that. Return the way to stop hearing of it.
        """
        return self._add(self._unwished, callback)

    def _add(
        self, table: dict[int, Callable[[T], None]], callback: Callable[[T], None]
    ) -> Callable[[], None]:
        key = self._next
        self._next += 1
        table[key] = callback

        def unsubscribe() -> None:
            table.pop(key, None)

        return unsubscribe

    def publish(self, change: Change) -> None:
        """Tell everyone; subscribers that join or leave meanwhile are handled."""
        for callback in tuple(self._subscribers.values()):
            callback(change)

    def give_up(self, name: str) -> None:
        """Tell that nobody wants this process up any more, though its state is the same."""
        for callback in tuple(self._unwished.values()):
            callback(name)
