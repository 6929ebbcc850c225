"""Tasks that nobody waits for: work that a signal or an event has begun."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class BackgroundTasks:
    """Keeps tasks until they are done (the event loop does not), and reports bugs in them."""

    def __init__(self, report_bug: Callable[[Exception], None]) -> None:
        self._report_bug = report_bug
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin the work, at the next iteration of the event loop."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Exception):
            self._report_bug(error)
