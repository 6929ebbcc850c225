"""The text of each event that listeners get."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor_lite.model.change import Change
from supervisor_lite.rules.event_listener import payloads
from supervisor_lite.rules.event_listener.types import MEANINGS


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
    event = payloads.of_change(made, 7)
    assert event.name == f"PROCESS_STATE_{made.to_state}"
    words = "processname:p groupname:g from_state:RUNNING"
    assert event.payload == f"{words} {said}".rstrip()
    # So Supervisor's childutils reads it.
    assert len(dict(word.split(":") for word in event.payload.split())) == 3 + len(said.split())


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
    assert [(event.name, event.payload) for event in said] == [
        ("PROCESS_LOG_STDERR", "processname:p groupname:g pid:7 channel:stderr\nx\n"),
        ("PROCESS_COMMUNICATION_STDOUT", "processname:p groupname:g pid:7\nx"),
        ("REMOTE_COMMUNICATION", "type:t\nd"),
        ("PROCESS_GROUP_ADDED", "groupname:g\n"),
        ("PROCESS_GROUP_REMOVED", "groupname:g\n"),
        ("SUPERVISOR_STATE_CHANGE_STOPPING", ""),
        ("TICK_60", "when:3720"),
    ]
    assert {event.name for event in said} <= MEANINGS["EVENT"]
