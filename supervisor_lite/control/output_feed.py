"""What is appended to logs, sent to a subscriber as it comes and at its own speed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any

from supervisor_lite.control.subscriptions import Subscription
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.core.topics import DefinitionChanged
from supervisor_lite.errors import LimitExceeded, OperationFailed
from supervisor_lite.logs.follow import Follower
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.marks import to_text
from supervisor_lite.logs.processlogs import STREAMS
from supervisor_lite.model.change import Change
from supervisor_lite.model.states import State
from supervisor_lite.protocol import messages

Streams = Callable[[Process], Iterable[tuple[str, LogFile]]]
"""The streams of a process, and their logs, that a subscriber wants to see."""

_BEGINS = frozenset({State.STARTING.name, State.RUNNING.name})
"""A process that has just joined comes to one of these first."""


class OutputFeed:
    """Follows logs for one subscription, also those of processes that come later."""

    def __init__(self, subscription: Subscription, max_behind: int = 0) -> None:
        """Who is farther behind than `max_behind` bytes is made to skip; 0: nobody is."""
        self._subscription = subscription
        self._max_behind = max_behind
        self._followed: dict[tuple[str, str], LogFile] = {}
        self._ignored: set[str] = set()
        """Names of processes that are not wanted."""

    @property
    def number(self) -> int:
        """The number that its notifications carry."""
        return self._subscription.number

    def follow(self, log: LogFile, name: str, stream: str, position: int | None = None) -> None:
        """Send what comes into a log after a position (None: from now on), unless that is done.

        Raises LimitExceeded.
        """
        if self._followed.get((name, stream)) is log:
            return
        subscription, about = self._subscription, {"fullname": name, "stream": stream}

        def deliver(data: bytes) -> bool:
            return subscription.notify(
                messages.NOTE_OUTPUT, **about, **messages.pack_data(data), **_mark(follower)
            )

        def missed(count: int) -> None:
            subscription.notify(messages.NOTE_MISSED, **about, bytes=count)

        loop = asyncio.get_running_loop()
        follower = Follower(loop, log, deliver, missed, position, max_behind=self._max_behind)
        self._followed[name, stream] = log
        subscription.on_end(follower.close, follower.resume)

    def watch(
        self, supervisor: Supervisor, wanted: Callable[[Process], bool], streams: Streams
    ) -> None:
        """Follow from now on also what joins: processes that are wanted, and new logs of them.

        Raises LimitExceeded.
        """

        def look(process: Process) -> None:
            known = any((process.name, stream) in self._followed for stream in STREAMS)
            if not known and not wanted(process):
                self._ignored.add(process.name)
                return
            try:
                for stream, log in streams(process):
                    # Whose log is new here has begun with this daemon, or with this definition.
                    self.follow(log, process.name, stream, 0)
            except LimitExceeded as error:
                self._subscription.notify(messages.NOTE_END, reason=str(error))

        def on_change(change: Change) -> None:
            if change.to_state in _BEGINS and change.name not in self._ignored:
                process = supervisor.processes.get(change.name)
                if process is not None:
                    look(process)

        def on_definition(news: DefinitionChanged) -> None:
            if news.process.name not in self._ignored:
                look(news.process)

        bus = supervisor.bus
        ends = [
            bus.subscribe(Change, on_change),
            bus.subscribe(DefinitionChanged, on_definition),
        ]

        def stop() -> None:
            for end in ends:
                end()

        self._subscription.on_end(stop, lambda: None)


def _mark(follower: Follower) -> dict[str, Any]:
    """Return where the next chunk begins; nothing if that cannot be told."""
    with contextlib.suppress(OSError, OperationFailed):
        return {"after": to_text(follower.mark())}
    return {}
