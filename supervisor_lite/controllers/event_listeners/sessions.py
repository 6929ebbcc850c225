"""One event listener while it runs: its protocol, the event it is busy with, and its input.

The input is a pipe that the daemon writes to and never waits for: what does not fit stays in the
session and is written when the pipe has room again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from supervisor_lite.rules.event_listener.buffer import QueuedEvent
from supervisor_lite.rules.event_listener.session import ListenerProtocol, ListenerState


class ListenerSession:
    """A listener from its spawn, or from the upgrade of the daemon, to its end."""

    __slots__ = (
        "_fd", "_loop", "_open_input", "event", "input_closed", "outbox", "process", "protocol",
        "run",
    )  # fmt: skip

    def __init__(
        self, process: str, loop: asyncio.AbstractEventLoop, open_input: Callable[[], int]
    ) -> None:
        """`open_input` returns a descriptor to write to without waiting, or raises OSError."""
        self.process = process
        """The full name of the process."""
        self.protocol = ListenerProtocol()
        self.run: int | None = None
        """The run that it belongs to; None if it began in this daemon."""
        self.event: QueuedEvent | None = None
        """What it is busy with."""
        self.outbox = b""
        """What did not fit into its pipe yet."""
        self.input_closed = False
        """It does not read any more: no event can be sent to it."""
        self._loop = loop
        self._open_input = open_input
        self._fd = -1

    def is_ready(self) -> bool:
        """Has it asked for an event, and can it get one?"""
        return self.protocol.state is ListenerState.READY and not self.input_closed

    def send(self, event: QueuedEvent, message: bytes) -> bool:
        """Give it an event; it must be ready. Returns False if it has closed its input."""
        self.event = event
        self.outbox = message
        self.protocol.event_sent()
        return self.write()

    def write(self) -> bool:
        """Write what the pipe takes. Returns False if the listener has closed its input."""
        try:
            if self._fd < 0:
                self._fd = self._open_input()
            self.outbox = self.outbox[os.write(self._fd, self.outbox) :]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            self.input_closed = True
            self.outbox = b""
            return False
        return True
