"""`make soak`: a million restarts, and nothing may grow.

Many programs with short lives, logs that rotate all the time, clients that come and go, upgrades:
what a daemon sees in months, as fast as it can. While that goes on, its descriptors, its memory,
its journal and the time until it answers are looked at; the last quarter must not be more than the
first. SOAK_RESTARTS is the number of restarts, `--write` puts the result into
docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from tests.bench import report
from tests.bench.contenders import Lite, Program
from tests.bench.crowd import Crowd
from tests.bench.measure import number
from tests.bench.place import Place, kill_marked
from tests.bench.venvs import ROOT, BenchError, Cache
from tests.client import Connection

BEGIN = "<!-- begin: written by python -m tests.bench.soak --write -->"
END = "<!-- end of what soak writes -->"

_PROGRAMS = 150
"""Each may be restarted ten times a second: together more than the machine can do."""
_UPGRADES = 20
_SAMPLES = 60
_WARM = 0.1
"""The part of the restarts after which everything has its size: journal, caches, logs."""
_LEAST = 1000
_STALLED = 60.0
"""Seconds without a restart after which something is wrong."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The daemon at one moment."""

    descriptors: float
    rss: float
    """MB."""
    journal: float
    """MB on disk."""
    logs: float
    """MB on disk."""
    latency: float
    """Milliseconds until all processes were listed: the middle of a few tries."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How much more the last quarter may be than an earlier one: a factor, and a bit."""

    name: str
    unit: str
    factor: float
    more: float


BOUNDS = {
    "descriptors": Bound("descriptors", "", 1.0, 4.0),
    "rss": Bound("RSS", "MB", 1.05, 1.0),
    "journal": Bound("journal", "MB", 1.1, 1.0),
    "logs": Bound("logs", "MB", 1.1, 2.0),
    "latency": Bound("status over the socket", "ms", 2.0, 5.0),
}
"""The latency is that of a busy machine, the descriptors those of some clients."""


class Soak:
    """A daemon under load, and what was seen of it."""

    def __init__(self, place: Place, binaries: Path, restarts: int) -> None:
        self.place = place
        self.restarts = restarts
        self.daemon = Lite(binaries, place)
        self.samples: list[Sample] = []
        self.done = 0
        """Restarts so far; in a short soak more than were asked for, as looking takes its time."""
        self.upgrades = 0
        self.asked = 0
        """Answers that the clients have got."""
        self.seconds = 0.0

    def run(self) -> None:
        """Restart so many times; raises BenchError if the daemon stalls or ends."""
        self.daemon.configure(
            self._programs(), journal_count=max(self.restarts // 20, 200),
            logfile_maxbytes=1 << 19, logfile_backups=1,
        )  # fmt: skip
        self.daemon.launch()
        self.daemon.wait_answer()
        began = time.monotonic()
        with Crowd(self.daemon.socket) as crowd:
            for _ in self._milestones():
                self._report(time.monotonic() - began)
            self.asked = crowd.answers()
        self.seconds = time.monotonic() - began
        self.daemon.terminate()

    def _milestones(self) -> Iterator[None]:
        """Wait for each next part of the restarts; sample or upgrade there."""
        first = self._started()
        warm = int(self.restarts * _WARM)
        step = (self.restarts - warm) / _SAMPLES
        upgrade_at = [warm + self.restarts * n / _UPGRADES / 2 for n in range(_UPGRADES)]
        if self.restarts < _UPGRADES * 1000:
            upgrade_at = upgrade_at[:: _UPGRADES * 1000 // self.restarts]
        for index in range(_SAMPLES):
            goal = warm + int(step * (index + 1))
            while upgrade_at and upgrade_at[0] < goal:
                self._reach(first + int(upgrade_at.pop(0)))
                self.daemon.upgrade()
                self.daemon.wait_answer()
                self.upgrades += 1
            self.done = self._reach(first + goal) - first
            self.samples.append(self._look())
            yield

    def _reach(self, run: int) -> int:
        """Wait until a run with this number was begun; return the number of the latest."""
        before, moved = -1, time.monotonic()
        while (now := self._started()) < run:
            if now > before:
                before, moved = now, time.monotonic()
            elif time.monotonic() > moved + _STALLED:
                raise BenchError(f"no restart for {_STALLED:g} s, after {now}")
            time.sleep(0.05)
        return now

    def _started(self) -> int:
        """Return how many runs there were: their numbers are never given twice."""
        # The latest of a few programs is as good as that of all, and costs the daemon less.
        result = self.daemon.call("status", names=[f"p{n:04}" for n in range(5)])
        assert isinstance(result, dict)
        return max(process["run"] or 0 for process in result["processes"])

    def _look(self) -> Sample:
        took = []
        with Connection(self.daemon.socket, 60.0) as connection:
            for _ in range(5):
                began = time.perf_counter()
                connection.call("status")
                took.append((time.perf_counter() - began) * 1000)
        return Sample(
            descriptors=len(os.listdir(f"/proc/{self.daemon.pid}/fd")),
            rss=self.daemon.memory()[0],
            journal=_size(self.place.disk, "journal*"),
            logs=_size(self.place.disk / "log") + _size(self.place.dir / "log"),
            latency=statistics.median(took),
        )

    def _programs(self) -> Sequence[Program]:
        """Return programs that end after a line, and one whose log rotates all the time."""
        short = ["/bin/sh", "-c", 'echo "$0 was here, and that was all"', "p"]
        # On disk: what lies below /dev, where the daemon's own log is, counts as a device.
        log = self.place.disk / "log"
        log.mkdir()
        made = [
            Program(f"p{n:04}", short, startsecs=0, log=log / f"p{n:04}", maxbytes=4096, backups=1)
            for n in range(_PROGRAMS)
        ]
        endless = ["/bin/sh", "-c", "while :; do seq 2000; sleep 0.05; done"]
        return [*made, Program("chatty", endless, log=log / "chatty", maxbytes=1 << 18, backups=2)]

    def _report(self, seconds: float) -> None:
        values = ", ".join(
            f"{bound.name} {number(getattr(self.samples[-1], key))} {bound.unit}".rstrip()
            for key, bound in BOUNDS.items()
        )
        print(
            f"{self.done} restarts, {self.done / seconds:.0f}/s, {seconds:.0f} s: {values}",
            flush=True,
        )

    def rows(self) -> list[list[str]]:
        """Return the table: medians of the first, third and last quarter, and the verdict."""
        table = [["", "unit", "first quarter", "third", "last", "flat"]]
        quarter = len(self.samples) // 4
        for key in (field.name for field in fields(Sample)):
            bound = BOUNDS[key]
            values = [getattr(sample, key) for sample in self.samples]
            first, third, last = (
                statistics.median(values[quarter * n : quarter * (n + 1)]) for n in (0, 2, 3)
            )
            # The last upgrade was half-way: what grows in one daemon shows against the third.
            flat = last <= min(first, third) * bound.factor + bound.more
            said = "yes" if flat else "**no**"
            table.append([bound.name, bound.unit, *map(number, (first, third, last)), said])
        return table

    def lines(self) -> list[str]:
        """Return what is said in docs/performance.md."""
        done = (
            f"{self.done} restarts of {_PROGRAMS} programs in {self.seconds / 60:.0f} minutes,"
            f" {self.upgrades} upgrades in the first half, {self.asked} answers to clients that"
            " came and went, logs rotating all the time; medians of the quarters after a tenth to"
            " warm up:"
        )
        return [done, "", *report.markdown(self.rows())]


def _size(directory: Path, pattern: str = "*") -> float:
    """Return the MB of the files in a directory, while they come and go."""
    size = 0
    for path in directory.glob(pattern):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
    return size / 1e6


def main() -> int:
    """Soak; 0 if nothing has grown."""
    options = _parse()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    memory, disk = (Path(tempfile.mkdtemp("", "slsoak-", where)) for where in (base, None))
    try:
        soak = Soak(Place(memory, disk, "soak"), Cache(options.cache).lite(), options.restarts)
        soak.run()
    except BenchError as error:
        print(f"tests.bench.soak: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tests.bench.soak: interrupted", file=sys.stderr)
        return 130
    finally:
        kill_marked(str(memory))
        for directory in (memory, disk):
            shutil.rmtree(directory, ignore_errors=True)
    print("\n".join(soak.lines()))
    if options.write:
        report.replace(ROOT / "docs/performance.md", BEGIN, END, soak.lines())
    return 0 if all(row[-1] == "yes" for row in soak.rows()[1:]) else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put it into docs/performance.md")
    parser.add_argument(
        "--cache", type=Path, default=Cache.usual(), metavar="DIR",
        help="where the virtual environment stays (%(default)s)",
    )  # fmt: skip
    options = parser.parse_args()
    text = os.environ.get("SOAK_RESTARTS", "1000000")
    try:
        options.restarts = int(text)
    except ValueError:
        parser.error(f'SOAK_RESTARTS is "{text}": it has to be a whole number')
    if options.restarts < _LEAST:
        parser.error(f"SOAK_RESTARTS is {text}: at least {_LEAST} are needed to see anything")
    return options


if __name__ == "__main__":
    sys.exit(main())
