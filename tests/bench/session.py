"""What a scenario is given: contenders to make, rounds to run, metrics to fill."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TypeVar

from tests.bench.beats import Beats
from tests.bench.contenders import GUESTS, PEERS, Bare, Contender, Lite, Program, Supervisor
from tests.bench.measure import Goal, Metric
from tests.bench.place import Place, kill_marked
from tests.bench.venvs import BenchError, Cache

T = TypeVar("T")

Scenario = Callable[["Session"], None]

_LEAST = 10
"""Seconds: with fewer left, a scenario is not begun."""


class Session:
    """One run of the benchmark."""

    def __init__(
        self, cache: Cache, *, quick: bool, seconds: float, only: Collection[str] = ()
    ) -> None:
        """`seconds`: how long all of it may take; `only`: contenders to leave the others out."""
        self._end = time.monotonic() + seconds
        self.quick = quick
        self.metrics: dict[str, Metric] = {}
        self.failed: list[str] = []
        self.missing: dict[str, str] = {}
        """Contenders that cannot be had on this machine, and why."""
        self._out: set[str] = set()
        """Contenders that have failed in the scenario that runs."""
        self._scenario = ""
        self._touched: list[Metric] = []
        self.lite_bin = cache.lite()
        self._bins: dict[str, Path] = {}
        for kind in PEERS:
            if only and kind.name not in only:
                self.missing[kind.name] = "left out by --contender"
                continue
            try:
                self._bins[kind.name] = kind.installed(cache)
            except BenchError as error:
                self.missing[kind.name] = str(error)
                print(f"{kind.name} is left out: {error}", file=sys.stderr)
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

    def fit(self, kinds: Iterable[type[Contender]]) -> Iterator[type[Contender]]:
        """Go through those that are here and have not failed in this scenario."""
        for kind in kinds:
            if kind.name not in self.missing and kind.name not in self._out:
                yield kind

    def turn(
        self, kinds: Iterable[type[Contender]], number: int = 0, guests: int = 1
    ) -> Iterator[type[Contender]]:
        """Go through these and, in the first `guests` rounds, through the guests."""
        yield from self.fit(kinds)
        if number < guests:
            yield from self.fit(GUESTS)

    @contextlib.contextmanager
    def attempt(self, kind: type[Contender]) -> Iterator[None]:
        """Let one contender fail: it is reported, and out until the end of the scenario."""
        try:
            yield
        except OutOfTime:
            raise
        except Exception as error:  # noqa: BLE001 the others are worth measuring still
            self._fails(f"{self._scenario}: {kind.name}", error)
            self._out.add(kind.name)

    @contextlib.contextmanager
    def contender(
        self, kind: type[Contender], programs: Callable[[Beats, Path], Sequence[Program]]
    ) -> Iterator[tuple[Contender, Beats]]:
        """Make a contender with its programs, not yet launched; clean up afterwards.

        `programs` is told where children beat, and a directory on disk for logs that are written.
        """
        place = Place(self.memory, self.disk, kind.name.split()[0].lower())
        contender = kind(self._bins.get(kind.name, self.lite_bin), place)
        beats = Beats(place.dir)
        try:
            contender.configure(programs(beats, place.disk))
            yield contender, beats
        finally:
            contender.remove()
            beats.close()

    # What comes out

    def metric(self, name: str, unit: str, goal: Goal | None = None) -> Metric:
        """Return the row with this name, begun if there is none."""
        metric = self.metrics.setdefault(name, Metric(name, unit))
        metric.goal = metric.goal or goal
        self._touched.append(metric)
        return metric

    def run(self, name: str, scenario: Scenario, limit: int) -> None:
        """Run one scenario, bounded in time; what fails is reported and the rest goes on."""
        began = time.monotonic()
        limit = min(limit, int(self._end - began))
        if limit < _LEAST:
            self.failed.append(f"{name}: not measured, the time was over")
            return
        self._scenario, self._out, self._touched = name, set(), []
        print(f"{name} …", file=sys.stderr, flush=True)
        before = signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(limit)
        try:
            scenario(self)
        except Exception as error:  # noqa: BLE001 the other scenarios are worth measuring still
            self._fails(name, error)
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
            kill_marked(str(self.memory))
        for metric in self._touched:
            for contender in self._out:
                series = metric.of(contender)
                series.note = series.note or ("then failed" if series.values else "failed")
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    def _fails(self, where: str, error: Exception) -> None:
        if not isinstance(error, BenchError):
            traceback.print_exc()
        self.failed.append(f"{where}: {error or type(error).__name__}")
        print(f"{where}: FAILED: {error}", file=sys.stderr)

    def close(self) -> None:
        """Leave nothing behind."""
        kill_marked(str(self.memory))
        for directory in (self.memory, self.disk):
            shutil.rmtree(directory, ignore_errors=True)


class OutOfTime(BenchError):
    """A whole scenario has taken longer than it may."""


def _too_long(_: int, __: FrameType | None) -> None:
    raise OutOfTime("took too long")


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
