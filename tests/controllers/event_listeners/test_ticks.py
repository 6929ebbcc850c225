"""The clock of event listeners: when it wakes the daemon, and what it publishes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from supervisor_lite.controllers.event_listeners.ticks import Ticks
from supervisor_lite.rules.event_listener.payloads import ListenerEvent


class Loop:
    """Keeps the one timer, and turns the wall clock by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 7198.0
        self.timer: tuple[float, Callable[[], None]] | None = None
        monkeypatch.setattr(time, "time", lambda: self.now)

    def call_later(self, delay: float, callback: Callable[[], None]) -> SimpleNamespace:
        assert self.timer is None, "one timer for all"
        self.timer = self.now + delay, callback
        return SimpleNamespace(cancel=self._cancel)

    def _cancel(self) -> None:
        self.timer = None

    def advance(self) -> float:
        """Go on to the timer; return what time it is then."""
        assert self.timer is not None
        (self.now, callback), self.timer = self.timer, None
        callback()
        return self.now


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    return Loop(monkeypatch)


def test_every_period_that_begins_is_published(loop: Loop) -> None:
    published: list[ListenerEvent] = []
    ticks = Ticks(cast(asyncio.AbstractEventLoop, loop), published.append)
    ticks.want({"TICK_5", "TICK_3600", "PROCESS_STATE_RUNNING"})
    assert loop.advance() == 7200.0
    assert published == [
        ListenerEvent("TICK_5", "when:7200"),
        ListenerEvent("TICK_3600", "when:7200"),
    ]
    assert loop.advance() == 7205.0
    assert published[2:] == [ListenerEvent("TICK_5", "when:7205")]


def test_nobody_wants_it_nothing_wakes_the_daemon(loop: Loop) -> None:
    published: list[ListenerEvent] = []
    ticks = Ticks(cast(asyncio.AbstractEventLoop, loop), published.append)
    ticks.want({"PROCESS_STATE_RUNNING"})
    assert loop.timer is None
    ticks.want({"TICK_60"})
    assert loop.timer is not None
    ticks.want(frozenset())
    assert loop.timer is None


def test_who_comes_later_does_not_make_a_tick_come_twice(loop: Loop) -> None:
    published: list[ListenerEvent] = []
    ticks = Ticks(cast(asyncio.AbstractEventLoop, loop), published.append)
    ticks.want({"TICK_60"})
    loop.advance()
    ticks.want({"TICK_60", "TICK_5"})
    loop.advance()
    assert [event.name for event in published] == ["TICK_60", "TICK_5"]
