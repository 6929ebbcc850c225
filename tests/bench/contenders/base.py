"""What every contender can be asked to do."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.bench.place import Place, Usage, memory, usage, wait_until
from tests.bench.venvs import BenchError, Cache


@dataclass(frozen=True, slots=True)
class Program:
    """What each contender is told to run; everything else is left at its own defaults."""

    name: str
    command: list[str]
    autostart: bool = True
    startsecs: int = 1
    log: Path | None = None
    """Where its stdout goes; None for the contender's own choice, which is to keep it."""
    maxbytes: int = 50 << 20
    backups: int = 10


class Contender:
    """A supervisor at work in a place of its own."""

    name: ClassVar[str]
    has_client: ClassVar[bool] = True
    """Is there a daemon to ask, and a command to ask it with?"""

    has_list: ClassVar[bool] = False
    """Does it answer the question for all processes over a socket (see lister.py)?"""

    def __init__(self, bin_directory: Path, place: Place) -> None:
        self.bin = bin_directory
        self.place = place
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def installed(cls, cache: Cache) -> Path:
        """Return the directory of its commands; raises BenchError if it cannot be had here."""
        return cache.lite()

    @property
    def pid(self) -> int:
        """The pid of the daemon."""
        assert self.process is not None
        return self.process.pid

    def pids(self) -> list[int]:
        """Return every process of the supervisor itself: one, or one per program and more."""
        return [self.pid]

    def usage(self) -> Usage:
        """Return what these have used so far, together."""
        return sum((usage(pid) for pid in self.pids()), Usage(0.0, 0))

    def memory(self) -> tuple[float, float]:
        """Return their RSS and PSS in MB, together."""
        resident, proportional = zip(*map(memory, self.pids()), strict=True)
        return sum(resident), sum(proportional)

    def environment(self) -> dict[str, str]:
        """Return the environment of a client: nothing that we happen to have."""
        return {"PATH": os.defpath, "HOME": str(self.place.dir), "LANG": "C.UTF-8"}

    def configure(self, programs: Sequence[Program]) -> None:
        """Write down what is to run."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """Return the command that starts the daemon in the foreground."""
        raise NotImplementedError

    def launch(self) -> None:
        """Start the daemon and return at once."""
        self.process = self.place.popen(self.command())

    def answers(self) -> bool:
        """Ask it once; False while nobody answers."""
        raise NotImplementedError

    def wait_answer(self, limit: float = 60.0) -> None:
        """Wait until it answers."""

        def answered() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} ended: {self.place.said()}")
            return self.answers()

        wait_until(answered, limit, f"{self.name} answers")

    def start_all(self) -> None:
        """Ask that everything be started, and do not wait for it."""
        raise NotImplementedError

    def status_command(self) -> list[str]:
        """Return the command with which an operator looks."""
        raise NotImplementedError

    def restart_command(self, program: str) -> list[str]:
        """Return the command with which an operator restarts one program."""
        raise NotImplementedError

    def lister(self) -> tuple[str, Path]:
        """Return what lister.py has to know: which protocol, which socket."""
        raise NotImplementedError

    def terminate(self, limit: float = 120.0) -> None:
        """End the daemon as an operator would, and wait until it is gone."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{self.name} did not end within {limit:g} s") from None

    def remove(self) -> None:
        """Get rid of it and of everything that it started."""
        self.place.remove()
        if self.process is not None:
            self.process.wait()
