"""One timer for each process that has something due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from supervisor_lite.core.process import Process


class Timers:
    """Timers by process; none for who has no deadline, so that nothing wakes an idle daemon."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_deadline: Callable[[Process], None]
    ) -> None:
        self._loop = loop
        self._on_deadline = on_deadline
        self._handles: dict[Process, asyncio.TimerHandle] = {}

    def set(self, process: Process, deadline: float | None) -> None:
        """Have `on_deadline` called at this time of the loop, and at no other; None: not at all."""
        handle = self._handles.get(process)
        if handle is not None:
            if handle.when() == deadline:
                return
            handle.cancel()
            del self._handles[process]
        if deadline is not None:
            self._handles[process] = self._loop.call_at(deadline, self._fire, process)

    def _fire(self, process: Process) -> None:
        del self._handles[process]
        self._on_deadline(process)

    def close(self) -> None:
        """Call for nobody any more."""
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()
