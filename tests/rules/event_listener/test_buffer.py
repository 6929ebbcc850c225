"""The events that wait for a pool of listeners."""

from __future__ import annotations

import json
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from supervisor_lite.rules.event_listener.buffer import (
    MAX_RETRY_DELAY,
    MAX_STARTUP_CHARACTERS,
    MAX_STARTUP_EVENTS,
    EventBuffer,
    QueuedEvent,
    retry_delay,
)
from supervisor_lite.rules.event_listener.payloads import ListenerEvent


def caught_up(size: int) -> EventBuffer:
    """Return a buffer whose first listener has dealt with everything."""
    buffer = EventBuffer(size)
    buffer.add(0, ListenerEvent("TICK_5", "first"))
    buffer.pop()
    return buffer


def payloads_of(buffer: EventBuffer) -> list[str]:
    return [buffer.pop().payload for _ in range(len(buffer))]


def test_a_full_buffer_drops_its_oldest_event() -> None:
    buffer = caught_up(2)
    assert buffer.add(1, ListenerEvent("TICK_5", "a")) is None
    assert buffer.add(2, ListenerEvent("TICK_5", "b")) is None
    dropped = buffer.add(3, ListenerEvent("TICK_5", "c"))
    assert dropped is not None
    assert (dropped.payload, dropped.serial) == ("a", 1)
    assert payloads_of(buffer) == ["b", "c"]


def test_an_event_that_was_rejected_is_the_next_again() -> None:
    buffer = caught_up(3)
    for serial, text in enumerate("abc"):
        buffer.add(serial, ListenerEvent("TICK_5", text))
    event = buffer.pop()
    assert buffer.requeue(event) is None
    assert payloads_of(buffer) == ["a", "b", "c"]


def test_an_event_that_was_rejected_goes_before_a_full_buffer() -> None:
    """It is the oldest of those that wait that is dropped, as in Supervisor."""
    buffer = caught_up(2)
    buffer.add(1, ListenerEvent("TICK_5", "a"))
    event = buffer.pop()
    buffer.add(2, ListenerEvent("TICK_5", "b"))
    buffer.add(3, ListenerEvent("TICK_5", "c"))
    dropped = buffer.requeue(event)
    assert dropped is not None
    assert dropped.payload == "b"
    assert payloads_of(buffer) == ["a", "c"]


def test_nothing_is_dropped_before_the_first_listener_has_caught_up() -> None:
    buffer = EventBuffer(1)
    for serial in range(500):
        assert buffer.add(serial, ListenerEvent("TICK_5", str(serial))) is None
    first = buffer.pop()
    assert buffer.add(500, ListenerEvent("TICK_5", "500")) is None
    assert buffer.requeue(first) is None
    assert payloads_of(buffer) == [str(serial) for serial in range(501)]
    buffer.add(501, ListenerEvent("TICK_5", "a"))
    assert buffer.add(502, ListenerEvent("TICK_5", "b")) is not None


def test_even_then_there_is_an_end() -> None:
    many = EventBuffer(1)
    dropped = [
        many.add(serial, ListenerEvent("TICK_5", "")) for serial in range(MAX_STARTUP_EVENTS + 5)
    ]
    assert len(many) == MAX_STARTUP_EVENTS
    assert [event.serial for event in dropped if event is not None] == [0, 1, 2, 3, 4]
    large = EventBuffer(1)
    for serial in range(6):
        large.add(serial, ListenerEvent("PROCESS_LOG_STDOUT", "x" * (MAX_STARTUP_CHARACTERS // 4)))
    assert 2 < len(large) <= 5


@given(st.lists(st.sampled_from(["add", "take", "back"])), st.integers(1, 4))
def test_the_order_is_that_of_the_events(steps: list[str], size: int) -> None:
    """Whatever is rejected or dropped, nothing comes before what happened earlier."""
    buffer, serial = EventBuffer(size), 0
    busy: deque[QueuedEvent] = deque()
    for step in steps:
        if step == "add":
            buffer.add(serial, ListenerEvent("TICK_5", str(serial)))
            serial += 1
        elif step == "take" and buffer and not busy:
            busy.append(buffer.pop())
        elif step == "back" and busy:
            buffer.requeue(busy.pop())
    left = EventBuffer(size)
    left.restore(json.loads(json.dumps(buffer.to_json())))
    assert len(left) == len(buffer)
    taken = [buffer.pop() for _ in range(len(buffer))]
    assert taken == [left.pop() for _ in range(len(left))]
    assert [event.poolserial for event in taken] == sorted(event.poolserial for event in taken)


def test_the_envelope() -> None:
    """The order of the keys is Supervisor's; `len` counts characters."""
    event = QueuedEvent(21, 10, "REMOTE_COMMUNICATION", "type:typé\ndâta")
    head, payload = event.message("supervisor", "listener").split(b"\n", 1)
    assert head == (
        b"ver:3.0 server:supervisor serial:21 pool:listener poolserial:10"
        b" eventname:REMOTE_COMMUNICATION len:14"
    )
    assert payload == "type:typé\ndâta".encode()


def test_who_rejects_everything_is_not_asked_all_the_time() -> None:
    assert retry_delay(1) == 0  # the first time it is sent again at once
    assert 0 < retry_delay(2) < retry_delay(3) < retry_delay(5)
    assert retry_delay(1000) == MAX_RETRY_DELAY
