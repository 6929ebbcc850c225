"""The protocol of event listeners."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor_lite.rules.event_listener.session import Answer, ListenerProtocol, ListenerState


def conversation(*written: bytes) -> tuple[list[Answer], ListenerState]:
    """Return what a listener answered, and its state; it gets an event whenever it is ready."""
    listener = ListenerProtocol()
    answers = []
    for data in written:
        answers += listener.receive(data)
        if listener.state is ListenerState.READY:
            listener.event_sent()
    return answers, listener.state


R, A, N, X = Answer.READY, Answer.ACCEPTED, Answer.REJECTED, Answer.INVALID


@pytest.mark.parametrize(
    ("said", "answers", "state"),
    [
        ((), [], ListenerState.ACKNOWLEDGED),
        ((b"READY\n",), [R], ListenerState.BUSY),
        ((b"REA",), [], ListenerState.ACKNOWLEDGED),
        ((b"REA", b"DY\n"), [R], ListenerState.BUSY),
        ((b"READY\n", b"RESULT 2\nOK"), [R, A], ListenerState.ACKNOWLEDGED),
        ((b"READY\n", b"RESULT 2\nOKREADY\n"), [R, A, R], ListenerState.BUSY),
        ((b"READY\n", b"RESULT 4\nFAIL"), [R, N], ListenerState.ACKNOWLEDGED),
        ((b"READY\n", b"RESULT 3\nOKK"), [R, N], ListenerState.ACKNOWLEDGED),
        ((b"READY\n", b"RESULT 1\nO"), [R, N], ListenerState.ACKNOWLEDGED),
        ((b"READY\n", b"RESULT 2\n", b"O", b"K"), [R, A], ListenerState.ACKNOWLEDGED),
        # Only the width of the word is looked at, as in Supervisor.
        ((b"READY\n", b"result 2\nOK"), [R, A], ListenerState.ACKNOWLEDGED),
        # A result without a body is decided at once; Supervisor waits for more bytes.
        ((b"READY\n", b"RESULT 0\n"), [R, N], ListenerState.ACKNOWLEDGED),
        ((b"READY\n", b"RESULT two\nOK"), [R, X], ListenerState.UNKNOWN),
        ((b"READY\n", b"RESULT -1\n"), [R, X], ListenerState.UNKNOWN),
        ((b"READY\n", b"RESULT " + b"9" * 100), [R, X], ListenerState.UNKNOWN),
        ((b"READY\nREADY\n",), [R, X], ListenerState.UNKNOWN),
        ((b"hello there\n",), [X], ListenerState.UNKNOWN),
        ((b"hello there\n", b"READY\n"), [X], ListenerState.UNKNOWN),
        ((b"READY\r\n",), [X], ListenerState.UNKNOWN),
    ],
)
def test_the_protocol(said: tuple[bytes, ...], answers: list[Answer], state: ListenerState) -> None:
    assert conversation(*said) == (answers, state)


def test_a_listener_that_is_ready_must_be_silent() -> None:
    listener = ListenerProtocol()
    assert listener.receive(b"READY\n") == [R]
    assert listener.receive(b"x") == [X]
    assert listener.receive(b"READY\n") == []


def test_a_long_result_takes_no_memory() -> None:
    """A listener cannot fill the daemon's memory by what it answers."""
    listener = ListenerProtocol()
    listener.receive(b"READY\n")
    listener.event_sent()
    listener.receive(b"RESULT 1000000000\n")
    for _ in range(100):
        assert listener.receive(b"x" * 10_000) == []
    assert len(json.dumps(listener.to_json())) < 200


@given(st.lists(st.sampled_from([b"RESULT 2\nOK", b"RESULT 4\nFAIL", b"RESULT 0\n"])), st.data())
def test_how_it_is_cut_into_pieces_changes_nothing(
    results: list[bytes], data: st.DataObject
) -> None:
    """A pipe may deliver what was written in any pieces; an upgrade may come between any two."""
    listener = ListenerProtocol()
    answers = []
    for said in (b"READY\n", *(result + b"READY\n" for result in results)):
        rest = said
        while rest:
            size = data.draw(st.integers(1, len(rest)))
            answers += listener.receive(rest[:size])
            rest = rest[size:]
            listener = ListenerProtocol.from_json(json.loads(json.dumps(listener.to_json())))
        listener.event_sent()
    wanted = [R]
    for result in results:
        wanted += [A if result.endswith(b"OK") else N, R]
    assert answers == wanted
