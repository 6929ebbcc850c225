"""Clients that come, ask and go, of every kind that leaves something behind if it can."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

from tests.client import Connection

_PAUSE = 0.2
"""Seconds: the clients shall be many in the end, and leave the daemon time for its work."""


class Crowd:
    """Four clients at once, each with a new connection every time, until the block is left."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._over = threading.Event()
        self._counts = {"asker": 0, "follower": 0, "quitter": 0, "stranger": 0}
        self._threads = [
            threading.Thread(target=self._loop, args=(kind,), daemon=True) for kind in self._counts
        ]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def answers(self) -> int:
        """Return how many times one of them was answered."""
        return sum(self._counts.values())

    def _loop(self, kind: str) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError), Connection(self._socket, 10.0) as connection:
                if getattr(self, f"_{kind}")(connection):
                    self._counts[kind] += 1
            time.sleep(_PAUSE)

    def _asker(self, connection: Connection) -> bool:
        """Ask three times and leave."""
        for _ in range(3):
            connection.send("status")
            if connection.receive() is None:
                return False  # an upgrade came between
        return True

    def _follower(self, connection: Connection) -> bool:
        """Listen to what happens for a while and hang up in the middle of it."""
        connection.send("events", {"follow": True})
        return all(connection.receive() is not None for _ in range(20))

    def _quitter(self, connection: Connection) -> bool:
        """Ask and do not wait for the answer."""
        connection.send("runs")
        return True

    def _stranger(self, connection: Connection) -> bool:
        """Talk nonsense."""
        connection.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
        return connection.receive() is not None
