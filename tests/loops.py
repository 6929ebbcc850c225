"""An event loop for a test that is a coroutine: `async def test_…` runs in one of its own.

conftest.py has pytest call `run` for each of those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

LIMIT = 20.0
"""Seconds that anything may take before a test gives up."""

_at_end: list[Callable[[], object]] = []


def run(test: Coroutine[Any, Any, T], limit: float = 5 * LIMIT) -> T:
    """Run a test's coroutine, for a limited time, and then what it left to be closed."""

    async def closing() -> T:
        try:
            async with asyncio.timeout(limit):
                return await test
        finally:
            while _at_end:
                _at_end.pop()()

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(closing())


def at_end(callback: Callable[[], object]) -> None:
    """Call back in the running loop when the test is over."""
    _at_end.append(callback)


async def until(condition: Callable[[], object], what: str = "", pause: float = 0.002) -> None:
    """Let the loop run until a condition holds."""
    end = asyncio.get_running_loop().time() + LIMIT
    while not condition():
        assert asyncio.get_running_loop().time() < end, f"not within {LIMIT} s: {what}"
        await asyncio.sleep(pause)


async def rounds(count: int = 5) -> None:
    """Let the loop go round a few times, so that what is ready is done."""
    for _ in range(count):
        await asyncio.sleep(0)


def due() -> bool:
    """Tell whether the running loop has anything to do: to call, to wait for, or to read.

    If not, it sleeps until something comes from outside, however long that takes.
    """
    loop: Any = asyncio.get_running_loop()
    handles = [handle for handle in (*loop._ready, *loop._scheduled) if not handle.cancelled()]
    # The one timer that is always there is the limit of the test.
    names = [getattr(handle._callback, "__qualname__", "") for handle in handles]
    return len(names) > names.count("Timeout._on_timeout") or bool(loop._selector.select(0))
