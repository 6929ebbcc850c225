"""Refusals are counted and summed up; nothing wakes up when nobody is refused anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from supervisor_lite.control.access import Caller
from supervisor_lite.daemon.denials import INTERVAL, MAX_USERS, Denials


class Loop:
    """Timers that the test turns."""

    def __init__(self) -> None:
        self.timers: list[Callable[[], None]] = []

    def call_later(self, delay: float, call: Callable[[], None]) -> object:
        assert delay == INTERVAL
        self.timers.append(call)
        return object()

    def pass_a_minute(self) -> None:
        timers, self.timers = self.timers, []
        for call in timers:
            call()


def denials() -> tuple[Denials, Loop, list[str]]:
    loop, lines = Loop(), list[str]()

    def warn(text: str, **fields: Any) -> None:
        lines.append(f"{text} uid={fields['uid']}")

    return Denials(cast(asyncio.AbstractEventLoop, loop), warn), loop, lines


def caller(uid: int) -> Caller:
    return Caller(uid, uid, 100 + uid)


def test_the_first_at_once_and_then_a_line_a_minute() -> None:
    noted, loop, lines = denials()
    for _ in range(1000):
        noted.note(caller(1), "stop", "web")
    noted.note(caller(1), "shutdown", None)
    noted.note(caller(2), "stop", "web")
    assert lines == ["not permitted: stop uid=1", "not permitted: stop uid=2"]
    assert len(loop.timers) == 1
    loop.pass_a_minute()
    summary = "not permitted: 1000 more within a minute: stop 999, shutdown 1 uid=1"
    assert lines[2:] == [summary]
    noted.note(caller(1), "stop", "web")
    assert len(lines) == 3
    loop.pass_a_minute()
    assert lines[3:] == ["not permitted: 1 more within a minute: stop 1 uid=1"]
    loop.pass_a_minute()
    assert not loop.timers
    assert len(lines) == 4
    noted.note(caller(1), "stop", "web")
    assert lines[4:] == ["not permitted: stop uid=1"]


def test_many_users_are_one() -> None:
    noted, loop, lines = denials()
    for uid in range(1000, 3000):
        noted.note(caller(uid), "stop", None)
    assert len(lines) == MAX_USERS + 1
    loop.pass_a_minute()
    assert lines[-1] == (
        f"not permitted: {2000 - MAX_USERS - 1} more within a minute: "
        f"stop {2000 - MAX_USERS - 1} uid=others"
    )
