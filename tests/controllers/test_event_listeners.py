"""The protocol of event listeners, what waits for them, and what each event says: all pure."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor_lite.model.change import Change
from supervisor_lite.rules.event_listener import payloads
from supervisor_lite.rules.event_listener.buffer import (
    LONGEST_PAUSE,
    STARTUP_CHARACTERS,
    STARTUP_EVENTS,
    Buffer,
    Queued,
    pause,
)
from supervisor_lite.rules.event_listener.payloads import Notice
from supervisor_lite.rules.event_listener.session import Answer, Listener, Listening
from supervisor_lite.rules.event_listener.types import MEANINGS, TICKS, timeslice, wanted_by


def heard(*said: bytes) -> tuple[list[Answer], Listener]:
    """Return what comes of what a listener says, which is given an event whenever it is ready."""
    listening = Listening()
    answers = []
    for data in said:
        answers += listening.heard(data)
        if listening.state is Listener.READY:
            listening.sent()
    return answers, listening.state


R, A, N, L = Answer.READY, Answer.ACCEPTED, Answer.REJECTED, Answer.LOST


@pytest.mark.parametrize(
    ("said", "answers", "state"),
    [
        ((), [], Listener.ACKNOWLEDGED),
        ((b"READY\n",), [R], Listener.BUSY),
        ((b"REA",), [], Listener.ACKNOWLEDGED),
        ((b"REA", b"DY\n"), [R], Listener.BUSY),
        ((b"READY\n", b"RESULT 2\nOK"), [R, A], Listener.ACKNOWLEDGED),
        ((b"READY\n", b"RESULT 2\nOKREADY\n"), [R, A, R], Listener.BUSY),
        ((b"READY\n", b"RESULT 4\nFAIL"), [R, N], Listener.ACKNOWLEDGED),
        ((b"READY\n", b"RESULT 3\nOKK"), [R, N], Listener.ACKNOWLEDGED),
        ((b"READY\n", b"RESULT 1\nO"), [R, N], Listener.ACKNOWLEDGED),
        ((b"READY\n", b"RESULT 2\n", b"O", b"K"), [R, A], Listener.ACKNOWLEDGED),
        # Only the width of the word is looked at, as in Supervisor.
        ((b"READY\n", b"result 2\nOK"), [R, A], Listener.ACKNOWLEDGED),
        # A result without a body is decided at once; Supervisor waits for more bytes.
        ((b"READY\n", b"RESULT 0\n"), [R, N], Listener.ACKNOWLEDGED),
        ((b"READY\n", b"RESULT two\nOK"), [R, L], Listener.UNKNOWN),
        ((b"READY\n", b"RESULT -1\n"), [R, L], Listener.UNKNOWN),
        ((b"READY\n", b"RESULT " + b"9" * 100), [R, L], Listener.UNKNOWN),
        ((b"READY\nREADY\n",), [R, L], Listener.UNKNOWN),
        ((b"hello there\n",), [L], Listener.UNKNOWN),
        ((b"hello there\n", b"READY\n"), [L], Listener.UNKNOWN),
        ((b"READY\r\n",), [L], Listener.UNKNOWN),
    ],
)
def test_the_protocol(said: tuple[bytes, ...], answers: list[Answer], state: Listener) -> None:
    assert heard(*said) == (answers, state)


def test_a_listener_that_is_ready_must_be_silent() -> None:
    listening = Listening()
    assert listening.heard(b"READY\n") == [R]
    assert listening.heard(b"x") == [L]
    assert listening.heard(b"READY\n") == []


def test_a_long_result_takes_no_memory() -> None:
    """A listener cannot fill the daemon's memory by what it answers."""
    listening = Listening()
    listening.heard(b"READY\n")
    listening.sent()
    listening.heard(b"RESULT 1000000000\n")
    for _ in range(100):
        assert listening.heard(b"x" * 10_000) == []
    assert len(json.dumps(listening.to_json())) < 200


@given(st.lists(st.sampled_from([b"RESULT 2\nOK", b"RESULT 4\nFAIL", b"RESULT 0\n"])), st.data())
def test_how_it_is_cut_into_pieces_changes_nothing(
    results: list[bytes], data: st.DataObject
) -> None:
    """A pipe may deliver what was written in any pieces; an upgrade may come between any two."""
    listening = Listening()
    answers = []
    for said in (b"READY\n", *(result + b"READY\n" for result in results)):
        rest = said
        while rest:
            size = data.draw(st.integers(1, len(rest)))
            answers += listening.heard(rest[:size])
            rest = rest[size:]
            listening = Listening.from_json(json.loads(json.dumps(listening.to_json())))
        listening.sent()
    wanted = [R]
    for result in results:
        wanted += [A if result.endswith(b"OK") else N, R]
    assert answers == wanted


# The events that wait.


def caught_up(size: int) -> Buffer:
    """Return a buffer whose first listener has dealt with everything."""
    buffer = Buffer(size)
    buffer.add(0, Notice("TICK_5", "first"))
    buffer.take()
    return buffer


def payloads_of(buffer: Buffer) -> list[str]:
    return [buffer.take().payload for _ in range(len(buffer))]


def test_a_full_buffer_drops_its_oldest_event() -> None:
    buffer = caught_up(2)
    assert buffer.add(1, Notice("TICK_5", "a")) is None
    assert buffer.add(2, Notice("TICK_5", "b")) is None
    dropped = buffer.add(3, Notice("TICK_5", "c"))
    assert dropped is not None
    assert (dropped.payload, dropped.serial) == ("a", 1)
    assert payloads_of(buffer) == ["b", "c"]


def test_an_event_that_was_rejected_is_the_next_again() -> None:
    buffer = caught_up(3)
    for serial, text in enumerate("abc"):
        buffer.add(serial, Notice("TICK_5", text))
    event = buffer.take()
    assert buffer.put_back(event) is None
    assert payloads_of(buffer) == ["a", "b", "c"]


def test_an_event_that_was_rejected_goes_before_a_full_buffer() -> None:
    """It is the oldest of those that wait that is dropped, as in Supervisor."""
    buffer = caught_up(2)
    buffer.add(1, Notice("TICK_5", "a"))
    event = buffer.take()
    buffer.add(2, Notice("TICK_5", "b"))
    buffer.add(3, Notice("TICK_5", "c"))
    dropped = buffer.put_back(event)
    assert dropped is not None
    assert dropped.payload == "b"
    assert payloads_of(buffer) == ["a", "c"]


def test_nothing_is_dropped_before_the_first_listener_has_caught_up() -> None:
    buffer = Buffer(1)
    for serial in range(500):
        assert buffer.add(serial, Notice("TICK_5", str(serial))) is None
    first = buffer.take()
    assert buffer.add(500, Notice("TICK_5", "500")) is None
    assert buffer.put_back(first) is None
    assert payloads_of(buffer) == [str(serial) for serial in range(501)]
    buffer.add(501, Notice("TICK_5", "a"))
    assert buffer.add(502, Notice("TICK_5", "b")) is not None


def test_even_then_there_is_an_end() -> None:
    many = Buffer(1)
    dropped = [many.add(serial, Notice("TICK_5", "")) for serial in range(STARTUP_EVENTS + 5)]
    assert len(many) == STARTUP_EVENTS
    assert [event.serial for event in dropped if event is not None] == [0, 1, 2, 3, 4]
    large = Buffer(1)
    for serial in range(6):
        large.add(serial, Notice("PROCESS_LOG_STDOUT", "x" * (STARTUP_CHARACTERS // 4)))
    assert 2 < len(large) <= 5


@given(st.lists(st.sampled_from(["add", "take", "back"])), st.integers(1, 4))
def test_the_order_is_that_of_the_events(steps: list[str], size: int) -> None:
    """Whatever is rejected or dropped, nothing comes before what happened earlier."""
    buffer, serial = Buffer(size), 0
    busy: deque[Queued] = deque()
    for step in steps:
        if step == "add":
            buffer.add(serial, Notice("TICK_5", str(serial)))
            serial += 1
        elif step == "take" and buffer and not busy:
            busy.append(buffer.take())
        elif step == "back" and busy:
            buffer.put_back(busy.pop())
    left = Buffer(size)
    left.restore(json.loads(json.dumps(buffer.to_json())))
    assert len(left) == len(buffer)
    taken = [buffer.take() for _ in range(len(buffer))]
    assert taken == [left.take() for _ in range(len(left))]
    assert [event.poolserial for event in taken] == sorted(event.poolserial for event in taken)


def test_the_envelope() -> None:
    """The order of the keys is Supervisor's; `len` counts characters."""
    event = Queued(21, 10, "REMOTE_COMMUNICATION", "type:typé\ndâta")
    head, payload = event.message("supervisor", "listener").split(b"\n", 1)
    assert head == (
        b"ver:3.0 server:supervisor serial:21 pool:listener poolserial:10"
        b" eventname:REMOTE_COMMUNICATION len:14"
    )
    assert payload == "type:typé\ndâta".encode()


def test_who_rejects_everything_is_not_asked_all_the_time() -> None:
    assert pause(1) == 0  # the first time it is sent again at once
    assert 0 < pause(2) < pause(3) < pause(5)
    assert pause(1000) == LONGEST_PAUSE


# What each event says.


def change(to: str, **more: Any) -> Change:
    values: dict[str, Any] = {"from_state": "RUNNING", "pid": 7, "tries": 2, **more}
    return Change(
        serial=1, time=0.0, name="g:p", process="p", group="g", to_state=to, cause=None, **values
    )


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (change("STARTING"), "tries:2"),
        (change("BACKOFF"), "tries:2"),
        (change("RUNNING"), "pid:7"),
        (change("STOPPING"), "pid:7"),
        (change("STOPPED"), "pid:7"),
        (change("FATAL"), ""),
        (change("EXITED", expected=True, exitcode=0), "expected:1 pid:7 exitcode:0"),
        (change("EXITED", expected=False, exitcode=3), "expected:0 pid:7 exitcode:3"),
        (change("EXITED", expected=False, signal="SIGKILL"), "expected:0 pid:7 signal:SIGKILL"),
        (change("EXITED", expected=False), "expected:0 pid:7"),
    ],
)
def test_changes_of_state(made: Change, said: str) -> None:
    notice = payloads.of_change(made, 7)
    assert notice.name == f"PROCESS_STATE_{made.to_state}"
    words = "processname:p groupname:g from_state:RUNNING"
    assert notice.payload == f"{words} {said}".rstrip()
    # So Supervisor's childutils reads it.
    assert len(dict(word.split(":") for word in notice.payload.split())) == 3 + len(said.split())


def test_the_other_events() -> None:
    said = [
        payloads.of_output("p", "g", 7, "stderr", "x\n"),
        payloads.of_communication("p", "g", 7, "stdout", "x"),
        payloads.of_remote("t", "d"),
        payloads.of_group("g", added=True),
        payloads.of_group("g", added=False),
        payloads.of_daemon("STOPPING"),
        payloads.of_tick("TICK_60", 3725.5),
    ]
    assert [(notice.name, notice.payload) for notice in said] == [
        ("PROCESS_LOG_STDERR", "processname:p groupname:g pid:7 channel:stderr\nx\n"),
        ("PROCESS_COMMUNICATION_STDOUT", "processname:p groupname:g pid:7\nx"),
        ("REMOTE_COMMUNICATION", "type:t\nd"),
        ("PROCESS_GROUP_ADDED", "groupname:g\n"),
        ("PROCESS_GROUP_REMOVED", "groupname:g\n"),
        ("SUPERVISOR_STATE_CHANGE_STOPPING", ""),
        ("TICK_60", "when:3720"),
    ]
    assert {notice.name for notice in said} <= MEANINGS["EVENT"]


def test_names_that_mean_others() -> None:
    assert wanted_by(["TICK"]) == {"TICK_5", "TICK_60", "TICK_3600"} == set(TICKS)
    assert len(wanted_by(["PROCESS_STATE"])) == 8
    assert wanted_by(["TICK_5", "PROCESS_GROUP"]) == {
        "TICK_5", "PROCESS_GROUP_ADDED", "PROCESS_GROUP_REMOVED",
    }  # fmt: skip
    assert wanted_by(["EVENT"]) >= wanted_by(name for name in MEANINGS if name != "EVENT")
    assert wanted_by(["REMOTE_COMMUNICATION"]) == {"REMOTE_COMMUNICATION"}


def test_slices_of_time_are_those_of_the_clock() -> None:
    assert [timeslice("TICK_3600", now) for now in (0, 3599.9, 3600)] == [0, 0, 3600]
