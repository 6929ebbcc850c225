"""The bus: who gets what, in which order, and what a bad subscriber can spoil: nothing."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple, cast

import pytest

from supervisor_lite.core.bus import Bus


class Rain(NamedTuple):
    millimetres: int


class Sun(NamedTuple):
    hours: int


class Loop:
    """Stands in for the event loop: keeps what is reported."""

    def __init__(self) -> None:
        self.reported: list[dict[str, Any]] = []

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.reported.append(context)


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def bus(loop: Loop) -> Bus:
    return Bus(cast(asyncio.AbstractEventLoop, loop))


def test_everyone_gets_what_they_subscribed_to_in_order(bus: Bus) -> None:
    got: list[object] = []
    bus.subscribe(Rain, lambda rain: got.append(("first", rain)))
    bus.subscribe(Rain, lambda rain: got.append(("second", rain)))
    bus.subscribe(Sun, got.append)
    bus.publish(Rain(1))
    bus.publish(Sun(2))
    assert got == [("first", Rain(1)), ("second", Rain(1)), Sun(2)]


def test_whoever_has_left_gets_nothing(bus: Bus) -> None:
    got: list[Rain] = []
    leave = bus.subscribe(Rain, got.append)
    assert bus.has_subscribers(Rain)
    leave()
    leave()
    assert not bus.has_subscribers(Rain)
    assert not bus.has_subscribers(Sun)
    bus.publish(Rain(1))
    assert got == []


def test_coming_and_leaving_during_a_delivery(bus: Bus) -> None:
    """Who leaves is not called any more, who comes is called from the next one on."""
    got: list[object] = []

    def first(rain: Rain) -> None:
        got.append(("first", rain))
        leave_second()
        bus.subscribe(Rain, lambda late: got.append(("third", late)))
        leave_first()

    leave_first = bus.subscribe(Rain, first)
    leave_second = bus.subscribe(Rain, lambda rain: got.append(("second", rain)))
    bus.publish(Rain(1))
    bus.publish(Rain(2))
    assert got == [("first", Rain(1)), ("third", Rain(2))]


def test_what_is_published_from_a_subscriber_comes_later_for_all(bus: Bus) -> None:
    """One order for everybody, whatever the subscribers before them publish."""
    early: list[object] = []
    late: list[object] = []

    def echo(rain: Rain) -> None:
        early.append(rain)
        if rain.millimetres < 10:
            bus.publish(Rain(rain.millimetres * 10))

    bus.subscribe(Rain, echo)
    bus.subscribe(Rain, late.append)
    bus.publish(Rain(1), Rain(2))
    assert early == late == [Rain(1), Rain(2), Rain(10), Rain(20)]


def test_a_subscriber_that_raises_is_reported_and_stops_nobody(bus: Bus, loop: Loop) -> None:
    got: list[Rain] = []

    def fail(_: Rain) -> None:
        raise ValueError("wet")

    bus.subscribe(Rain, fail)
    bus.subscribe(Rain, got.append)
    bus.publish(Rain(1), Rain(2))
    assert got == [Rain(1), Rain(2)]
    assert [str(context["exception"]) for context in loop.reported] == ["wet", "wet"]
    assert "Rain" in loop.reported[0]["message"]
