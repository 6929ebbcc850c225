"""How children tell that they are alive: a line in a FIFO that the benchmark reads."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.venvs import BenchError

_PIPE = 1 << 20
_F_SETPIPE_SZ = 1031


@dataclass(frozen=True, slots=True)
class Beat:
    """A child said that it runs."""

    at: float
    """Monotonic seconds at which it was read."""
    name: str
    pid: int


class Beats:
    """The reading end. A child writes one short line, which a FIFO never mixes with another."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "beats"
        self.hold = directory / "hold"
        """A FIFO that nobody writes to: opening it makes a child wait for ever."""
        os.mkfifo(self.path)
        os.mkfifo(self.hold)
        self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._fd, _F_SETPIPE_SZ, _PIPE)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._rest = b""

    def sitter(self, name: str) -> list[str]:
        """Return a command that beats once and waits for ever, without a further exec."""
        script = 'echo "$0" $$ >"$1"; read -r _ <"$2"'
        return ["/bin/sh", "-c", script, name, str(self.path), str(self.hold)]

    def crasher(self, name: str) -> list[str]:
        """Return a command that beats once and fails."""
        return ["/bin/sh", "-c", 'echo "$0" $$ >"$1"; exit 1', name, str(self.path)]

    def ready(self) -> list[Beat]:
        """Return the beats that are there now."""
        try:
            data = os.read(self._fd, _PIPE)
        except BlockingIOError:
            return []
        at = time.monotonic()
        *lines, self._rest = (self._rest + data).split(b"\n")
        words = [line.decode().split() for line in lines]
        return [Beat(at, name, int(pid)) for name, pid in words]

    def wait(self, limit: float) -> list[Beat]:
        """Return the next beats; raises BenchError if none comes in time."""
        if not self._poll.poll(limit * 1000):
            raise BenchError(f"no child said that it is alive within {limit:g} s")
        return self.ready()

    def collect(self, count: int, limit: float) -> list[Beat]:
        """Return `count` beats or a few more, read every millisecond so as not to disturb."""
        found: list[Beat] = []
        end = time.monotonic() + limit
        while len(found) < count:
            left = end - time.monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                raise BenchError(f"only {len(found)} of {count} children alive after {limit:g} s")
            found += self.ready()
            time.sleep(0.001)
        return found

    def close(self) -> None:
        """Stop listening."""
        os.close(self._fd)
