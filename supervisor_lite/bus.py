"""Publish and subscribe: how a change of state reaches everyone who wants to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Change(NamedTuple):
    """One published change of state, with its cause.

    `serial` grows by one per change and is never reused in a state directory.
    """

    serial: int
    time: float
    """Wall-clock seconds since the epoch; for display only."""
    name: str
    """`group:name` as operators type it."""
    process: str
    group: str
    from_state: str
    to_state: str
    cause: str
    """Why, in words."""
    note: str = ""
    """What else had to be done: SIGKILL after a while, leftovers ended."""
    by: str = ""
    """Who asked for it ("uid 1000 (deploy), pid 812: slctl stop web"); empty if nobody did."""
    run: int | None = None
    pid: int | None = None
    exitcode: int | None = None
    signal: str | None = None
    expected: bool | None = None
    """For EXITED: was the exit code one of `exitcodes`?"""
    tries: int = 0
    """For STARTING and BACKOFF: failed starts so far."""
    last_words: str = ""
    """For a failed start: the last lines of its output."""


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
