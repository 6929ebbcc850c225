"""Runs of real children: what one of them meets with is nothing to the others."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from supervisor_lite.core.process import Process
from supervisor_lite.core.topics import OutputSeen
from supervisor_lite.host.signals import send
from supervisor_lite.model.events import Event, Exited
from supervisor_lite.model.output import Output
from supervisor_lite.model.program import Program
from supervisor_lite.model.states import State
from tests.core.engine import Engine

SLEEPER = Program(name="a", command=("/bin/sleep", "300"), startsecs=0)


def test_a_bug_about_one_end_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are collected together; every one of them is answered."""

    async def scene() -> None:
        engine = Engine(tmp_path)
        supervisor = engine.supervisor
        first, second = (supervisor.table.add(SLEEPER._replace(name=name)) for name in "ab")
        feed = supervisor.feed

        def fail_once(process: Process, event: Event) -> None:
            if process is first and isinstance(event, Exited):
                monkeypatch.setattr(supervisor.runs._ends, "_notify", feed)
                raise ZeroDivisionError
            feed(process, event)

        monkeypatch.setattr(supervisor.runs._ends, "_notify", fail_once)
        for process in (first, second):
            supervisor.start(process, "")
        await engine.until(lambda: second.record.state is State.RUNNING, "both are up")
        for process in (first, second):
            assert process.pidfd is not None
            send(process.pidfd, signal.SIGHUP)
        await engine.until(
            lambda: bool(engine.errors) and second.record.exit is not None, "both have ended"
        )
        (error,) = engine.errors
        assert isinstance(error["exception"], ZeroDivisionError)
        assert "a" in error["message"]
        # What was lost is made up for, so that the engine can end.
        assert first.record.run is not None
        assert second.record.exit is not None
        feed(first, Exited(first.record.run, second.record.exit))
        await engine.end()

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(scene())


def test_output_is_published_to_whoever_wants_it(tmp_path: Path) -> None:
    """While nobody does, nothing is made of it."""

    async def scene() -> None:
        engine = Engine(tmp_path)
        process = engine.supervisor.table.add(
            SLEEPER._replace(
                command=("/bin/sh", "-c", "echo one; echo two; exec sleep 300"),
                stdout=Output(path=str(tmp_path / "a.log"), events_enabled=True),
            )
        )
        seen: list[OutputSeen] = []
        leave = engine.bus.subscribe(OutputSeen, seen.append)
        engine.supervisor.start(process, "")
        await engine.until(
            lambda: "".join(str(each.data) for each in seen) == "one\ntwo\n", "all was seen"
        )
        assert {(each.process, each.stream, each.kind) for each in seen} == {
            (process, "stdout", "text"),
        }
        leave()
        assert not engine.bus.has_subscribers(OutputSeen)
        await engine.end()

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(scene())
