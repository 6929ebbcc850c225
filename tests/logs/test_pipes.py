"""One epoll for all FIFOs: everyone is read, nobody is called after it has let go."""

from __future__ import annotations

import asyncio
import os
from functools import partial

import pytest

from supervisor_lite.logs.pipes import Pipes


async def turn() -> None:
    """Let the loop look at its descriptors once."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_who_holds_something_is_called_until_it_is_read() -> None:
    pipes = Pipes(asyncio.get_running_loop())
    (a, a_end), (b, b_end) = os.pipe(), os.pipe()
    called: list[str] = []
    pipes.watch(a, lambda: called.append("a"))
    pipes.watch(b, lambda: called.append("b"))
    await turn()
    assert called == []
    os.write(a_end, b"x")
    await turn()
    assert set(called) == {"a"}
    assert len(called) >= 2  # nobody has read it
    os.read(a, 1)
    called.clear()
    os.write(b_end, b"x")
    await turn()
    assert set(called) == {"b"}
    pipes.close()


async def test_news_are_told_once() -> None:
    """What lies there already is told when the watch begins, and then only what is added."""
    pipes = Pipes(asyncio.get_running_loop())
    fd, end = os.pipe()
    called: list[int] = []
    os.write(end, b"x")
    pipes.watch(fd, lambda: called.append(1), only_new=True)
    await turn()
    await turn()
    assert len(called) == 1
    os.write(end, b"y")
    await turn()
    assert len(called) == 2
    pipes.watch(fd, lambda: called.append(2))  # from now on as long as there is anything
    await turn()
    assert called.count(2) >= 2
    pipes.close()


@pytest.mark.parametrize("closed", [False, True])
async def test_whoever_is_let_go_by_another_is_not_called(closed: bool) -> None:
    """Both are ready in one turn; the first one ends the second."""
    pipes = Pipes(asyncio.get_running_loop())
    (a, a_end), (b, b_end) = os.pipe(), os.pipe()
    called: list[str] = []

    def first(name: str, other: int) -> None:
        called.append(name)
        pipes.unwatch(other)
        if closed:
            os.close(other)

    pipes.watch(a, lambda: first("a", b))
    pipes.watch(b, lambda: first("b", a))
    os.write(a_end, b"x")
    os.write(b_end, b"x")
    await asyncio.sleep(0)
    while not called:
        await asyncio.sleep(0)
    pipes.unwatch(a)
    pipes.unwatch(b)  # a second time does no harm
    assert len(set(called)) == 1
    pipes.close()


async def test_hundreds_have_their_turn() -> None:
    pipes = Pipes(asyncio.get_running_loop())
    heard: set[int] = set()
    ends = []
    for _ in range(300):
        fd, end = os.pipe()
        pipes.watch(fd, lambda fd=fd: heard.add(fd))  # type: ignore[misc]
        os.write(end, b"x")
        ends.append((fd, end))
    async with asyncio.timeout(10):
        while len(heard) < 300:
            await asyncio.sleep(0)
    for fd, end in ends:
        pipes.unwatch(fd)
        os.close(fd)
        os.close(end)
    pipes.close()


async def test_a_bug_with_one_does_not_keep_others_from_being_read() -> None:
    """Not even those that are told of news only once."""
    loop = asyncio.get_running_loop()
    told: list[str] = []
    loop.set_exception_handler(lambda _, context: told.append(str(context["exception"])))
    pipes = Pipes(loop)
    heard: set[int] = set()

    def broken() -> None:
        raise ValueError("broken")

    ends = [os.pipe() for _ in range(3)]
    for number, (fd, end) in enumerate(ends):
        os.write(end, b"x")
        callback = broken if number == 0 else partial(heard.add, fd)
        pipes.watch(fd, callback, only_new=True)
    await turn()
    assert heard == {ends[1][0], ends[2][0]}
    assert told == ["broken"]
    pipes.close()
