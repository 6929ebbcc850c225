"""Which listener of a pool gets which event, without pipes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from supervisor_lite.controllers.event_listeners.pools import Pool
from supervisor_lite.controllers.event_listeners.sessions import ListenerSession
from supervisor_lite.model.plan import Group
from supervisor_lite.rules.event_listener.buffer import QueuedEvent
from supervisor_lite.rules.event_listener.payloads import ListenerEvent


class Session:
    """A listener that is ready when the test says so, and keeps what it was given."""

    def __init__(self) -> None:
        self.ready = False
        self.event: QueuedEvent | None = None
        self.got: list[str] = []

    def send(self, event: QueuedEvent, message: bytes) -> None:
        assert self.ready
        assert message.startswith(b"ver:3.0 server:me ")
        self.ready, self.event = False, event
        self.got.append(event.payload)


class Bench:
    """A pool of two listeners, `a` before `b`, that wants TICK_5."""

    def __init__(self, size: int = 3) -> None:
        self.sessions = {"a": Session(), "b": Session()}
        self.reports: list[str] = []
        self.pool = Pool("ears", "me", self._first_ready, self.reports.append)
        programs = tuple(SimpleNamespace(fullname=name) for name in self.sessions)
        self.pool.configure(
            Group("ears", processes=cast(Any, programs), events=("TICK_5",), buffer_size=size)
        )
        self._serial = 0

    def _first_ready(self, names: Iterable[str]) -> ListenerSession | None:
        ready = [self.sessions[name] for name in names if self.sessions[name].ready]
        return cast(ListenerSession, ready[0]) if ready else None

    def add(self, *texts: str) -> None:
        for text in texts:
            self.pool.add(self._serial, ListenerEvent("TICK_5", text))
            self._serial += 1

    def make_ready(self, name: str) -> None:
        self.sessions[name].ready = True
        self.pool.dispatch()

    def reject(self, name: str) -> None:
        """Let it reject its event, and ask for one."""
        self.sessions[name].ready = True
        self.pool.reject(cast(ListenerSession, self.sessions[name]))

    def got(self, name: str) -> list[str]:
        return self.sessions[name].got


def run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(work)


def test_an_event_goes_to_the_first_that_is_ready() -> None:
    bench = Bench()
    bench.add("1")
    bench.make_ready("b")
    bench.make_ready("a")
    bench.make_ready("b")
    bench.add("2", "3", "4")
    assert (bench.got("a"), bench.got("b")) == (["2"], ["1", "3"])


def test_a_listener_that_ends_leaves_its_event_to_the_next() -> None:
    bench = Bench()
    bench.make_ready("a")
    bench.add("1", "2")
    bench.pool.requeue(cast(ListenerSession, bench.sessions["a"]))
    assert bench.sessions["a"].event is None
    bench.make_ready("b")
    assert bench.got("b") == ["1"]


def test_the_second_rejection_waits_and_the_first_does_not() -> None:
    bench = Bench()

    async def main() -> None:
        bench.make_ready("a")
        bench.add("1", "2")
        bench.reject("a")
        assert bench.got("a") == ["1", "1"]
        bench.reject("a")
        assert bench.got("a") == ["1", "1"], "it waits"
        bench.make_ready("b")
        assert bench.got("b") == [], "and so does everybody else in the pool"
        while len(bench.got("a")) < 3:
            await asyncio.sleep(0.01)
        assert (bench.got("a"), bench.got("b")) == (["1", "1", "1"], ["2"])

    run(main())


def test_an_accepted_event_ends_the_row_of_rejections() -> None:
    bench = Bench()
    bench.make_ready("a")
    bench.add("1")
    bench.reject("a")
    bench.sessions["a"].event = None  # accepted
    bench.pool.rejections = 0
    bench.make_ready("a")
    bench.add("2")
    bench.reject("a")
    assert bench.got("a") == ["1", "1", "2", "2"]


def test_a_pool_that_is_gone_sends_nothing_more() -> None:
    gone, witness = Bench(), Bench()

    async def main() -> None:
        for bench in (gone, witness):
            bench.make_ready("a")
            bench.add("1")
            bench.reject("a")
            bench.reject("a")
        gone.pool.close()
        while len(witness.got("a")) < 3:
            await asyncio.sleep(0.01)
        assert gone.got("a") == ["1", "1"]

    run(main())


def test_who_rejects_without_an_event_costs_nobody_anything() -> None:
    bench = Bench()
    bench.reject("a")
    assert bench.pool.rejections == 0


@pytest.mark.parametrize(("added", "reports"), [(2, 0), (3, 1), (6, 2)])
def test_dropped_events_are_reported_once_and_counted(added: int, reports: int) -> None:
    bench = Bench(size=2)
    bench.make_ready("a")
    bench.add("first")  # everything before a listener has caught up is kept
    bench.add(*(str(number) for number in range(added)))
    assert (
        bench.reports
        == [
            "pool ears event buffer overflowed, discarding event 1",
        ][:reports]
    )
    bench.make_ready("a")
    bench.make_ready("b")
    assert bench.reports[1:] == (["pool ears: 4 events were discarded"] if reports == 2 else [])
    assert bench.got("a")[1:] + bench.got("b") == [str(added - 2), str(added - 1)]


def test_who_is_a_little_too_slow_all_the_time_is_worth_one_report() -> None:
    """Not one for each event that he takes."""
    bench = Bench(size=1)
    bench.make_ready("a")
    bench.add("first")
    for _ in range(10):
        bench.add("1", "2", "3")
        bench.make_ready("a")
    assert bench.reports == [
        "pool ears event buffer overflowed, discarding event 1",
        "pool ears: 2 events were discarded",
    ]
    assert bench.pool.buffer.dropped == 20
