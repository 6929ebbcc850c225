"""Who is to be spawned waits for its turn: a few at a time, in order, clients in between."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, cast

from supervisor_lite.core.process import Process
from supervisor_lite.core.spawn_queue import TURN, Turns


def processes(count: int) -> list[Process]:
    """Return stand-ins: nobody looks at what they are."""
    return [cast(Process, f"p{number}") for number in range(count)]


def test_few_share_a_turn() -> None:
    """What is added in one turn of the loop acts together in the next one."""

    async def scene() -> None:
        acted: list[Any] = []
        turns = Turns(asyncio.get_running_loop(), acted.append)
        everyone = processes(TURN)
        for process in everyone:
            turns.add(process)
            turns.add(process)  # asked twice: it has one place
            assert turns.has(process)
        assert acted == []
        await asyncio.sleep(0)
        assert acted == [everyone]
        assert not any(turns.has(process) for process in everyone)
        await asyncio.sleep(0)
        assert len(acted) == 1

    asyncio.run(scene())


def test_whoever_asks_is_told_when_those_before_them_have_acted() -> None:
    """Not of those who come later; at once if nobody waits."""

    async def scene() -> None:
        acted: list[Any] = []
        told: list[tuple[str, int]] = []
        turns = Turns(asyncio.get_running_loop(), acted.extend)
        turns.after_these(lambda: told.append(("nobody", len(acted))))
        assert told == [("nobody", 0)]
        for process in processes(TURN + 1):
            turns.add(process)
        turns.after_these(lambda: told.append(("first", len(acted))))
        for process in processes(4 * TURN)[TURN + 1 :]:
            turns.add(process)
        turns.after_these(lambda: told.append(("all", len(acted))))
        async with asyncio.timeout(10):
            while len(told) < 3:
                await asyncio.sleep(0)
        assert told[1:] == [("first", 2 * TURN), ("all", 4 * TURN)]

    asyncio.run(scene())


def test_many_take_turns_in_order_and_others_are_heard_in_between() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        acted: list[Any] = []
        heard: list[int] = []

        def hear() -> None:
            heard.append(len(acted))
            if len(acted) < 100:
                loop.call_soon(hear)

        turns = Turns(loop, acted.extend)
        everyone = processes(100)
        for process in everyone:
            turns.add(process)
        hear()
        async with asyncio.timeout(10):
            while len(acted) < 100:
                await asyncio.sleep(0)
        assert acted == everyone
        assert max(b - a for a, b in itertools.pairwise(heard)) <= TURN

    asyncio.run(scene())


def test_whoever_comes_while_others_wait_waits_longer() -> None:
    """Nobody overtakes the queue, and one that has acted may come again."""

    async def scene() -> None:
        acted: list[Any] = []

        def act(batch: list[Process]) -> None:
            if not acted:
                turns.add(late)
                turns.add(batch[0])
            acted.extend(batch)

        turns = Turns(asyncio.get_running_loop(), act)
        *everyone, late = processes(TURN + 4)
        for process in everyone:
            turns.add(process)
        async with asyncio.timeout(10):
            while len(acted) < TURN + 5:
                await asyncio.sleep(0)
        assert acted == [*everyone, late, everyone[0]]

    asyncio.run(scene())
