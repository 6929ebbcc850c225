"""What a scenario is given: contenders to make, rounds to run, metrics to fill."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TypeVar

from tests.bench.beats import Beats
from tests.bench.contenders import Bare, Contender, Lite, Program, Supervisor
from tests.bench.measure import Goal, Metric
from tests.bench.place import Place, kill_marked
from tests.bench.venvs import BenchError, Cache

T = TypeVar("T")

Scenario = Callable[["Session"], None]


class Session:
    """One run of the benchmark."""

    def __init__(self, cache: Cache, *, quick: bool) -> None:
        self.quick = quick
        self.metrics: dict[str, Metric] = {}
        self.failed: list[str] = []
        self.lite_bin = cache.lite()
        self.peer_bin = cache.peer()
        # Only we hold the lock of the cache: whatever else carries our mark is left over.
        bases = ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None, None)
        for base in bases:
            kill_marked(f"{base or tempfile.gettempdir()}/slbench-")
        self.memory, self.disk = (Path(tempfile.mkdtemp("", "slbench-", base)) for base in bases)

    # What there is to measure with

    def rounds(self, full: int, quick: int = 1) -> range:
        """Return how often to go round all contenders."""
        return range(quick if self.quick else full)

    def either(self, full: T, quick: T) -> T:
        """Return one thing for a full run, another for a quick one."""
        return quick if self.quick else full

    @contextlib.contextmanager
    def contender(
        self, kind: type[Contender], programs: Callable[[Beats, Path], Sequence[Program]]
    ) -> Iterator[tuple[Contender, Beats]]:
        """Make a contender with its programs, not yet launched; clean up afterwards.

        `programs` is told where children beat, and a directory on disk for logs that are written.
        """
        place = Place(self.memory, self.disk, kind.name.split()[0].lower())
        contender = kind(self.peer_bin if kind is Supervisor else self.lite_bin, place)
        beats = Beats(place.dir)
        try:
            contender.configure(programs(beats, place.disk))
            yield contender, beats
        finally:
            contender.remove()
            beats.close()

    def environment(self) -> dict[str, str]:
        """Return the environment of a client: nothing that we happen to have."""
        return {"PATH": os.defpath, "HOME": str(self.memory), "LANG": "C.UTF-8"}

    # What comes out

    def metric(self, name: str, unit: str, goal: Goal | None = None) -> Metric:
        """Return the row with this name, begun if there is none."""
        metric = self.metrics.setdefault(name, Metric(name, unit))
        metric.goal = metric.goal or goal
        return metric

    def run(self, name: str, scenario: Scenario, limit: int) -> None:
        """Run one scenario, bounded in time; what fails is reported and the rest goes on."""
        print(f"{name} …", file=sys.stderr, flush=True)
        before = signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(limit)
        try:
            scenario(self)
        except Exception as error:  # noqa: BLE001 the other scenarios are worth measuring still
            if not isinstance(error, BenchError):
                traceback.print_exc()
            self.failed.append(f"{name}: {error or type(error).__name__}")
            print(f"{name}: FAILED: {error}", file=sys.stderr)
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
            kill_marked(str(self.memory))

    def close(self) -> None:
        """Leave nothing behind."""
        kill_marked(str(self.memory))
        for directory in (self.memory, self.disk):
            shutil.rmtree(directory, ignore_errors=True)


def _too_long(_: int, __: FrameType | None) -> None:
    raise BenchError("took too long")


ALL: tuple[type[Contender], ...] = (Lite, Bare, Supervisor)
DAEMONS: tuple[type[Contender], ...] = (Lite, Supervisor)


def sitters(count: int, *, autostart: bool = True) -> Callable[[Beats, Path], list[Program]]:
    """Return so many programs that beat once and then wait for ever."""
    return lambda beats, _: [
        Program(f"p{number:04}", beats.sitter(f"p{number:04}"), autostart)
        for number in range(count)
    ]


def crashers(count: int) -> Callable[[Beats, Path], list[Program]]:
    """Return so many programs that beat once and fail, for ever."""
    return lambda beats, _: [
        Program(f"p{number:04}", beats.crasher(f"p{number:04}"), startsecs=0)
        for number in range(count)
    ]
