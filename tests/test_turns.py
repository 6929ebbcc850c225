"""What is due at once is done a bit at a time, in order, and clients are heard in between."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

from supervisor_lite.process import Process
from supervisor_lite.turns import Turns


def processes(count: int) -> list[Process]:
    """Return stand-ins: nobody looks at what they are."""
    return [cast(Process, f"p{number}") for number in range(count)]


def test_a_few_act_at_once() -> None:
    async def scene() -> None:
        turns = Turns(asyncio.get_running_loop(), lambda process: None)
        for process in processes(5):
            assert turns.is_now(process)
            assert not turns.has(process)

    asyncio.run(scene())


def test_many_take_turns_in_order() -> None:
    """Each takes 3 ms: the loop turns often while twenty of them act, and none is lost."""

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        acted: list[Any] = []
        heard: list[int] = []

        def act(process: Process) -> None:
            end = time.monotonic() + 0.003
            while time.monotonic() < end:
                pass
            acted.append(process)

        def hear() -> None:
            heard.append(len(acted))
            if len(acted) < 20:
                loop.call_soon(hear)

        turns = Turns(loop, act)
        everyone = processes(20)
        hear()
        for process in everyone:
            if turns.is_now(process):
                act(process)
            else:
                assert turns.has(process)
                assert not turns.is_now(process)  # asked again: it keeps its place
        assert 0 < len(acted) < 20
        async with asyncio.timeout(10):
            while len(acted) < 20:
                await asyncio.sleep(0)
        assert acted == everyone
        assert not any(turns.has(process) for process in everyone)
        assert len({count for count in heard if 0 < count < 20}) >= 3

    asyncio.run(scene())


def test_whoever_comes_while_others_wait_waits_too() -> None:
    """Nobody overtakes the queue, even where there is time left in the turn."""

    async def scene() -> None:
        acted: list[Any] = []

        def act(process: Process) -> None:
            acted.append(process)
            if process is second:
                assert not turns.is_now(late)

        turns = Turns(asyncio.get_running_loop(), act)
        first, second, third, late = processes(4)
        assert turns.is_now(first)
        time.sleep(0.02)
        assert not turns.is_now(second)
        assert not turns.is_now(third)
        async with asyncio.timeout(10):
            while len(acted) < 3:
                await asyncio.sleep(0)
        assert acted == [second, third, late]

    asyncio.run(scene())
