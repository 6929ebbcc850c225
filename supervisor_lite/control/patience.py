"""How long a caller waits for what it has asked for, which goes on all the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from supervisor_lite.control.params import Params
from supervisor_lite.errors import OperationFailed
from supervisor_lite.protocol.codes import ErrorCode

if TYPE_CHECKING:
    from supervisor_lite.controllers.rollout import Rollout
    from supervisor_lite.core.process import Process

T = TypeVar("T")


class Patience:
    """What `wait` and `timeout` of a request mean for an operation of several steps."""

    def __init__(self, params: Params) -> None:
        """Take both out of the parameters."""
        self._waits = params.flag("wait", True)
        timeout = params.seconds("timeout")
        self._until = None if timeout is None else time.monotonic() + timeout

    def _left(self) -> float | None:
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    async def result(self, job: asyncio.Future[T], what: str) -> T:
        """Return what the job returns, if it does in time. Raises OperationFailed, and its own."""
        job.add_done_callback(_retrieve)
        await asyncio.wait((job,), timeout=self._left())
        if not job.done():
            text = f"the {what} is not done in time; it goes on"
            raise OperationFailed(text, ErrorCode.TIMED_OUT)
        return job.result()

    async def not_up(self, rollout: Rollout, started: Sequence[Process]) -> list[dict[str, Any]]:
        """Wait until what was started is up, if the caller waits; return what is not, and why."""
        if not self._waits:
            return []
        results = await rollout.not_up(started, timeout=self._left())
        return [result.to_json() for result in results]


def _retrieve(job: asyncio.Future[Any]) -> None:
    """Perhaps nobody is there any more who could be told how it went."""
    if not job.cancelled():
        job.exception()
