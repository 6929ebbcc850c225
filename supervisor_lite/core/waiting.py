"""Wait until something is true of processes: told by the bus, never by polling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from supervisor_lite.core.bus import Bus
from supervisor_lite.core.process import Process
from supervisor_lite.core.topics import WishWithdrawn
from supervisor_lite.model.change import Change

R = TypeVar("R")


class Waiting(Generic[R]):
    """Collects a verdict on each of some processes, as changes are published.

    It subscribes when it is made: make it before anything is asked of the processes. A verdict that
    was given stays, whatever becomes of its process later.
    """

    def __init__(
        self, bus: Bus, processes: Sequence[Process], verdict: Callable[[Process], R | None]
    ) -> None:
        """`verdict` says what became of a process, or None while that is not decided."""
        self._loop = asyncio.get_running_loop()
        self._open = {process.name: process for process in processes}
        self._verdict = verdict
        self._verdicts: dict[str, R] = {}
        self._dirty: set[str] = set()
        self._done = self._loop.create_future()
        self._unsubscribe = (
            bus.subscribe(Change, lambda change: self._look_at(change.name)),
            bus.subscribe(WishWithdrawn, lambda withdrawn: self._look_at(withdrawn.name)),
        )

    def _look_at(self, name: str) -> None:
        if name not in self._open:
            return
        if not self._dirty:
            # Not at once: what follows from this is published in the same iteration of the loop.
            self._loop.call_soon(self._evaluate)
        self._dirty.add(name)

    def _evaluate(self) -> None:
        dirty, self._dirty = self._dirty, set()
        self._judge(dirty)

    def _judge(self, names: Iterable[str]) -> None:
        for name in names:
            process = self._open.get(name)
            verdict = self._verdict(process) if process is not None else None
            if verdict is not None:
                del self._open[name]
                self._verdicts[name] = verdict
        if not self._open and not self._done.done():
            self._done.set_result(None)

    async def verdicts(self, *, wait: bool = True, timeout: float | None = None) -> dict[str, R]:
        """Return the verdicts by name; without those not decided in `timeout` seconds.

        Without `wait`, what is decided now. It can be called once.
        """
        try:
            self._judge(tuple(self._open))
            if wait:
                await asyncio.wait((self._done,), timeout=timeout)
            self._judge(tuple(self._open))
        finally:
            for unsubscribe in self._unsubscribe:
                unsubscribe()
            self._done.cancel()
        return self._verdicts
