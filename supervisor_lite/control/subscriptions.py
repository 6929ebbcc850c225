"""A subscription: notifications that go on after the answer, until the client hangs up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from supervisor_lite.control.connection import Connection


class Subscription:
    """One subscription of one client, with the number that its notifications carry."""

    def __init__(self, connection: Connection) -> None:
        self.number = connection.new_subscription()
        self._connection = connection

    def notify(self, method: str, **fields: Any) -> bool:
        """Send a notification; False when the client should be given time to read first."""
        return self._connection.notify(method, {"subscription": self.number, **fields})

    def on_end(self, stop: Callable[[], None], resume: Callable[[], None]) -> None:
        """Call `stop` when the client is gone, `resume` whenever it has read again."""
        self._connection.on_end(stop, resume)
