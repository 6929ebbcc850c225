"""One event listener while it runs: its protocol, the event it is busy with, and its input.

The input is a pipe that the daemon writes to and never waits for: what does not fit stays in the
session and is written when the pipe has room again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Any

from supervisor_lite.rules.event_listener.buffer import QueuedEvent
from supervisor_lite.rules.event_listener.session import ListenerProtocol, ListenerState


class ListenerSession:
    """A listener from its spawn, or from the upgrade of the daemon, to its end."""

    __slots__ = (
        "_fd", "_loop", "_on_input_closed", "_open_input", "event", "input_closed", "outbox",
        "process", "protocol", "rejected", "rejections", "run",
    )  # fmt: skip

    def __init__(
        self,
        process: str,
        loop: asyncio.AbstractEventLoop,
        open_input: Callable[[str], int],
        on_input_closed: Callable[[ListenerSession], None],
    ) -> None:
        """`open_input` returns a non-blocking descriptor of its input, or raises OSError."""
        self.process = process
        """The full name of the process."""
        self.protocol = ListenerProtocol()
        self.run: int | None = None
        """The run that it was in at the upgrade of the daemon; None if it began after that."""
        self.event: QueuedEvent | None = None
        """What it is busy with."""
        self.outbox = b""
        """What did not fit into its pipe yet."""
        self.rejections = 0
        """Events that it has rejected since it has accepted one."""
        self.rejected = 0
        """The same, of this run."""
        self.input_closed = False
        """It does not read any more: no event can be sent to it."""
        self._loop = loop
        self._open_input = open_input
        self._on_input_closed = on_input_closed
        self._fd = -1

    def is_ready(self) -> bool:
        """Has it asked for an event, and can it get one?"""
        return self.protocol.state is ListenerState.READY and not self.input_closed

    def send(self, event: QueuedEvent, message: bytes) -> None:
        """Give it an event; it must be ready."""
        self.event = event
        self.outbox = message
        self.protocol.event_sent()
        self.write()

    def write(self) -> None:
        """Write what the pipe takes; the rest when there is room again."""
        try:
            if self._fd < 0:
                self._fd = self._open_input(self.process)
            self.outbox = self.outbox[os.write(self._fd, self.outbox) :]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            self.input_closed = True
            self.outbox = b""
            self._on_input_closed(self)
            return
        if self.outbox:
            self._loop.add_writer(self._fd, self.write)
        else:
            self._loop.remove_writer(self._fd)

    def close(self) -> None:
        """Close its input; the process itself is not touched."""
        if self._fd >= 0:
            self._loop.remove_writer(self._fd)
            os.close(self._fd)
            self._fd = -1

    # For the next version of the daemon. The keys are part of the handover's format: a daemon of
    # another version reads them.

    def to_json(self, run: int | None) -> dict[str, Any]:
        """Return the state of the session, for `restore`; `run` is the run of its process."""
        return {
            "run": run,
            "listening": self.protocol.to_json(),
            "event": self.event._asdict() if self.event is not None else None,
            "outbox": self.outbox.decode("latin-1"),
            "deaf": self.input_closed,
            "rejected": self.rejected,
            "rejections": self.rejections,
        }

    def restore(self, values: Mapping[str, Any]) -> None:
        """Go on with what `to_json` described. Raises KeyError, TypeError or ValueError."""
        event = values["event"]
        self.protocol = ListenerProtocol.from_json(values["listening"])
        self.run = values["run"]
        self.event = QueuedEvent(**event) if event is not None else None
        self.outbox = values["outbox"].encode("latin-1")
        self.input_closed = values["deaf"]
        self.rejected = int(values.get("rejected", 0))
        self.rejections = int(values.get("rejections", 0))
