"""Who is to be spawned waits in a queue: a few at a time, in order, clients in between."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, cast

from supervisor_lite.core.clock import Clock
from supervisor_lite.core.process import Process
from supervisor_lite.core.spawn_queue import MAX_BATCH, SpawnQueue
from tests.core.fake import FakeLoop, run


def processes(count: int) -> list[Process]:
    """Return stand-ins: nobody looks at what they are."""
    return [cast(Process, f"p{number}") for number in range(count)]


def test_few_share_a_batch() -> None:
    """What is added in one iteration of the loop is spawned together in the next one."""

    async def scene() -> None:
        acted: list[Any] = []
        queue = SpawnQueue(asyncio.get_running_loop(), Clock(), acted.append)
        everyone = processes(MAX_BATCH)
        for process in everyone:
            queue.add(process)
            queue.add(process)  # asked twice: it has one place
            assert process in queue
        assert acted == []
        await asyncio.sleep(0)
        assert acted == [everyone]
        assert not any(process in queue for process in everyone)
        await asyncio.sleep(0)
        assert len(acted) == 1

    asyncio.run(scene())


def test_whoever_asks_is_told_when_those_before_them_have_acted() -> None:
    """Not of those who come later; at once if nobody waits."""

    async def scene() -> None:
        acted: list[Any] = []
        told: list[tuple[str, int]] = []
        queue = SpawnQueue(asyncio.get_running_loop(), Clock(), acted.extend)
        queue.call_when_spawned(lambda: told.append(("nobody", len(acted))))
        assert told == [("nobody", 0)]
        for process in processes(MAX_BATCH + 1):
            queue.add(process)
        queue.call_when_spawned(lambda: told.append(("first", len(acted))))
        for process in processes(4 * MAX_BATCH)[MAX_BATCH + 1 :]:
            queue.add(process)
        queue.call_when_spawned(lambda: told.append(("all", len(acted))))
        async with asyncio.timeout(10):
            while len(told) < 3:
                await asyncio.sleep(0)
        assert told[1:] == [("first", 2 * MAX_BATCH), ("all", 4 * MAX_BATCH)]

    asyncio.run(scene())


def test_many_are_spawned_in_order_and_others_are_heard_in_between() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        acted: list[Any] = []
        heard: list[int] = []

        def hear() -> None:
            heard.append(len(acted))
            if len(acted) < 100:
                loop.call_soon(hear)

        queue = SpawnQueue(loop, Clock(), acted.extend)
        everyone = processes(100)
        for process in everyone:
            queue.add(process)
        hear()
        async with asyncio.timeout(10):
            while len(acted) < 100:
                await asyncio.sleep(0)
        assert acted == everyone
        assert max(b - a for a, b in itertools.pairwise(heard)) <= MAX_BATCH

    asyncio.run(scene())


def test_whoever_comes_while_others_wait_waits_longer() -> None:
    """Nobody overtakes the queue, and one that has acted may come again."""

    async def scene() -> None:
        acted: list[Any] = []

        def act(batch: list[Process]) -> None:
            if not acted:
                queue.add(late)
                queue.add(batch[0])
            acted.extend(batch)

        queue = SpawnQueue(asyncio.get_running_loop(), Clock(), act)
        *everyone, late = processes(MAX_BATCH + 4)
        for process in everyone:
            queue.add(process)
        async with asyncio.timeout(10):
            while len(acted) < MAX_BATCH + 5:
                await asyncio.sleep(0)
        assert acted == [*everyone, late, everyone[0]]

    asyncio.run(scene())


def test_where_a_spawn_is_slow_fewer_share_a_batch() -> None:
    """The loop answers clients every hundredth of a second or so, and catches up afterwards."""

    async def scene() -> None:
        loop = cast(FakeLoop, asyncio.get_running_loop())
        batches: list[int] = []
        cost = 0.004

        def spawn(batch: list[Process]) -> None:
            batches.append(len(batch))
            loop.advance(cost * len(batch))

        queue = SpawnQueue(loop, Clock(loop.time, loop.time), spawn)
        for process in processes(MAX_BATCH + 6):
            queue.add(process)
        while sum(batches) < MAX_BATCH + 6:
            await asyncio.sleep(0)
        assert batches == [MAX_BATCH, 2, 2, 2]
        cost = 0.0
        for process in processes(2 * MAX_BATCH):
            queue.add(process)
        while sum(batches) < 3 * MAX_BATCH + 6:
            await asyncio.sleep(0)
        assert batches[4:] == [2, MAX_BATCH, MAX_BATCH - 2]

    run(scene())
