"""When the memory of a process is measured."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from supervisor_lite.controllers.memory_limit import MemoryLimit
from supervisor_lite.core.bus import Bus
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.explain.cause import cause_text
from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.change import Change
from supervisor_lite.model.constants import MIB
from supervisor_lite.model.program import Program
from supervisor_lite.model.states import State


class Clock:
    """Stands in for the loop: keeps timers, and calls nobody."""

    def __init__(self) -> None:
        self.timers: list[SimpleNamespace] = []
        self.now = 100.0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: object) -> SimpleNamespace:
        timer = SimpleNamespace(when=lambda: when)
        timer.cancel = lambda: self.timers.remove(timer)
        self.timers.append(timer)
        return timer


def change(name: str, state: State) -> Change:
    return Change(
        serial=1, time=0.0, name=name, process=name, group=name, from_state="STARTING",
        to_state=state.name, cause=None,
    )  # fmt: skip


def test_there_is_a_timer_only_while_somebody_asks() -> None:
    """Nothing wakes the daemon for programs without the key, or that do not run."""
    clock = Clock()
    # A stand-in: the methods of a loop that are used here.
    loop = cast(asyncio.AbstractEventLoop, clock)
    bus = Bus(loop)
    programs = [
        Program(name="plain", command=("x",)),
        Program(name="slow", command=("x",), memory_restart=MIB),
        Program(name="fast", command=("x",), memory_restart=MIB, memory_check_interval=5.0),
    ]
    processes = {each.name: Process(each, 0.0) for each in programs}
    supervisor = cast(Supervisor, SimpleNamespace(processes=processes))
    MemoryLimit(supervisor, bus, loop).begin()
    for state in State:
        bus.publish(change("plain", state))
    assert clock.timers == []
    bus.publish(change("slow", State.STARTING))
    assert clock.timers == []
    bus.publish(change("slow", State.RUNNING))
    assert [timer.when() for timer in clock.timers] == [115.0]
    bus.publish(change("fast", State.RUNNING))
    assert [timer.when() for timer in clock.timers] == [105.0]
    clock.now = 104.0  # a signal, say, is no change of state, and puts nothing off
    bus.publish(change("fast", State.RUNNING)._replace(from_state="RUNNING"))
    bus.publish(change("slow", State.STARTING))
    bus.publish(change("slow", State.RUNNING))
    assert [timer.when() for timer in clock.timers] == [105.0]
    bus.publish(change("fast", State.STOPPING))
    bus.publish(change("slow", State.EXITED))
    assert clock.timers == []


@pytest.mark.parametrize(
    ("used", "limit", "words"),
    [
        (612 * MIB, 600 * MIB, "memory 612 MB over memory_restart 600 MB"),
        (600 * MIB + 1, 600 * MIB, "memory 600.1 MB over memory_restart 600 MB"),
        (5 << 30, 4 << 30, "memory 5120 MB over memory_restart 4096 MB"),
        (2 * MIB, MIB + MIB // 2, "memory 2 MB over memory_restart 1.5 MB"),
    ],
)
def test_the_cause_never_looks_like_the_limit(used: int, limit: int, words: str) -> None:
    assert cause_text(Cause(CauseKind.MEMORY_RESTART, used=used, limit=limit)) == words
