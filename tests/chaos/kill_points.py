"""Kill the daemon at a chosen system call of an operation; look at what the next one makes of it.

strace(1) has SIGKILL sent when the daemon enters the call (`-e inject`). Which calls an operation
makes is recorded first, so a point is a name and a number: the fourth `pwrite64` of a `stop`.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.chaos.tools import chain, kill, rows, writer
from tests.chaos.writer import line
from tests.programs import FORKER, SLEEPER, program, sh
from tests.support import Daemon, children, wait_until

STRACE = shutil.which("strace")

SLOW = sh("trap 'kill $!; sleep 0.1; exit 0' TERM; echo up; sleep 100000 & wait")

UP = ("lines", "web", "db", "late", "family", "extra")
"""What is to be up before and, unless the operation stops it, after it."""

QUIET = {"RUNNING", "STOPPED", "EXITED", "FATAL"}

OPERATIONS: dict[str, tuple[str, dict[str, object]]] = {
    "start": ("start", {"names": ["down"]}),
    "stop": ("stop", {"names": ["late"]}),
    "stop in waves": ("stop", {"names": ["all"]}),
    "restart": ("restart", {"names": ["late"]}),
    "restart in waves": ("restart", {"names": ["all"]}),
    "update": ("update", {}),
    "reload": ("reload", {}),
    "shutdown": ("shutdown", {}),
    "upgrade": ("upgrade", {}),
}
"""What is asked of a daemon while it is traced."""

STARTS = ("adoption", "first start")
"""What it does before anybody can ask."""

_NO_POINT = {"brk", "mmap", "munmap", "mprotect", "getpid", "lseek", "fstat", "newfstatat"}
"""Calls that change nothing for anybody else."""


class Point(NamedTuple):
    """The `number`th call of this name that the daemon makes."""

    call: str
    number: int


def table(version: int, *, extra: bool) -> str:
    """Return the configuration; `web` is another program with each version."""
    return (
        writer("lines", pause=0.005, batch=4, stdout_logfile_maxbytes="2KB",
               stdout_logfile_backups=5000)
        + program("web", SLEEPER, startsecs=0, priority=10, environment={"VERSION": str(version)})
        + program("db", SLOW, startsecs=0, priority=5)
        + program("late", SLOW, startsecs=0, priority=20)
        + program("family", FORKER, startsecs=0)
        + program("down", SLEEPER, startsecs=0)
        + (program("extra", SLEEPER, startsecs=0) if extra else "")
    )  # fmt: skip


class Attack:
    """One daemon that goes through one operation again and again, and is killed in it."""

    def __init__(self, daemon: Daemon, what: str, seed: int) -> None:
        self.daemon = daemon
        self.what = what
        self.random = random.Random(seed)
        self._version = 0
        self._before: dict[str, int] = {}

    # Before.

    def _prepare(self) -> None:
        """Have everything up but `down`, which an operator has stopped."""
        daemon = self.daemon
        if daemon.process is None or daemon.process.poll() is not None:
            daemon.start()
        self._configure(extra=True)
        daemon.call("update")
        daemon.call("start", names=["all"])
        daemon.call("stop", names=["down"])
        self._before = daemon.wait_running(*UP)
        wait_until(lambda: len(daemon.pids_of("family")) == 5, what="the family is complete")
        for name in ("db", "late"):
            daemon.wait_said(name, "up")
        if self.what == "update":
            self._configure(extra=False)
        if self.what == "adoption":
            kill(daemon)
        if self.what == "first start":
            daemon.call("shutdown")
            assert daemon.wait_exit() == 0

    def _configure(self, *, extra: bool) -> None:
        self._version += 1
        self.daemon.configure(table(self._version, extra=extra))

    # Under strace.

    def _traced(self, *options: str) -> bool | None:
        """Do it once; return whether it was answered, None if nobody was there to ask."""
        if self.what in STARTS:
            self._start_traced(*options)
            return None
        daemon = self.daemon
        tracer = subprocess.Popen([*self._strace(*options), "-p", str(daemon.pid)])
        status = Path(f"/proc/{daemon.pid}/status")
        wait_until(lambda: f"TracerPid:\t{tracer.pid}\n" in status.read_text(), what="it is traced")
        answered = self._ask()
        with contextlib.suppress(subprocess.TimeoutExpired):
            assert daemon.process is not None
            daemon.process.wait(10 if self.what == "shutdown" else 0.05)
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        return answered

    def _strace(self, *options: str) -> list[str]:
        assert STRACE is not None
        return [STRACE, "-qq", "-o", str(self.daemon.dir / "trace"), *options]

    def _start_traced(self, *options: str) -> None:
        """Start the daemon as a child of strace, which ends as that does."""
        daemon = self.daemon
        plain = daemon.command
        daemon.command = lambda: [*self._strace(*options), *plain()]  # type: ignore[method-assign]
        process = daemon.launch()
        daemon.command = plain  # type: ignore[method-assign]
        wait_until(lambda: process.poll() is not None or self._is_there(), 30, "it starts")
        for pid in children(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()

    def _is_there(self) -> bool:
        with contextlib.suppress(AssertionError):  # killed before it could answer
            return self.daemon.answers()
        return False

    def _ask(self) -> bool:
        """Return whether there is an answer, and not the end of the daemon instead."""
        method, params = OPERATIONS[self.what]
        try:
            with self.daemon.connect(60.0) as connection:
                connection.send(method, params)
                return connection.receive() is not None
        except OSError:
            return False

    def points(self, count: int) -> list[Point]:
        """Record what it does; return some points of it. The daemon is dead afterwards."""
        self._prepare()
        self._traced()
        self._end()
        trace = (self.daemon.dir / "trace").read_text(errors="replace")
        if self.what in STARTS:  # what the interpreter loads is the same every time
            trace = trace[max(0, trace.find("/state")) :]
            before = (self.daemon.dir / "trace").read_text(errors="replace")[: -len(trace)]
        else:
            before = ""
        names = re.compile(r"^(\w+)\(", re.MULTILINE)
        numbers = Counter(names.findall(before))
        found: list[Point] = []
        for call in names.findall(trace):
            numbers[call] += 1
            if call not in _NO_POINT:
                found.append(Point(call, numbers[call]))
        kinds = sorted({point.call for point in found})
        chosen = self.random.choices(kinds, k=count)  # seldom calls as often as frequent ones
        return [self.random.choice([p for p in found if p.call == kind]) for kind in chosen]

    def _end(self) -> None:
        process = self.daemon.process
        assert process is not None
        if process.poll() is None:
            kill(self.daemon)

    def strike(self, point: Point) -> None:
        """Kill the daemon at this point, start the next one, and look at what it does."""
        self._prepare()
        call, number = point
        inject = f"inject={call}:signal=KILL:when={number}"
        answered = self._traced("-e", f"trace={call}", "-e", inject)
        self._end()
        self.daemon.start()
        self._look(answered is True)

    # After.

    def _look(self, answered: bool) -> None:
        daemon = self.daemon
        pending = "SELECT * FROM meta WHERE key GLOB 'operation:*' OR key GLOB 'unsent:*'"
        wait_until(lambda: not rows(daemon, pending), 9, "what was begun is finished")
        wait_until(lambda: set(daemon.states().values()) <= QUIET, 9, "everything is settled")
        states, whole = daemon.states(), set(UP)
        if self.what == "stop in waves":
            assert len({states[name] for name in UP}) == 1, states  # all of them or none
            assert not answered or states["web"] == "STOPPED"
        elif self.what == "stop":
            assert not answered or states["late"] == "STOPPED"
        elif self.what == "start":
            assert not answered or states["down"] == "RUNNING"
        elif self.what == "update":
            assert "extra" not in states
            assert daemon.pids_of("extra") == []
            whole -= {"extra"}
        if self.what not in ("stop", "stop in waves"):
            assert {states[name] for name in whole} == {"RUNNING"}, states
        if self.what in ("adoption", "upgrade", "stop", "start", "restart"):
            assert states["down"] == "STOPPED" or self.what == "start"
            others = set(UP) - {"late"}
            assert {n: daemon.status(n)["pid"] for n in others} == {
                n: self._before[n] for n in others
            }
        self._look_at_processes(states)

    def _look_at_processes(self, states: dict[str, str]) -> None:
        """Each is there once if it is up, and not at all if it is down."""
        daemon = self.daemon
        for name in set(states) - {"family", "db", "late"}:
            pid = daemon.status(name)["pid"]
            assert daemon.pids_of(name) == ([pid] if states[name] == "RUNNING" else []), name
        for name, size in (("family", 5), ("db", 2), ("late", 2)):
            self._wait_for(name, size if states[name] == "RUNNING" else 0)

    def _wait_for(self, name: str, size: int) -> None:
        """Wait until there are so many processes of one program."""
        wait_until(lambda: len(self.daemon.pids_of(name)) == size, what=f"{name} has {size}")

    def finish(self) -> int:
        """End everything in order; check the lines of the writer; return how many there are."""
        daemon = self.daemon
        daemon.call("shutdown")
        assert daemon.wait_exit() == 0
        assert daemon.marked() == []
        return check_runs(daemon.dir / "log/lines.stdout.log")


def check_runs(log: Path) -> int:
    """Check the lines of several runs of a writer: each once, in order, from the first on.

    What a run wrote last may be missing: it may have ended while nobody held its pipe open.
    """
    lines = b"".join(path.read_bytes() for path in chain(log)).split(b"\n")[:-1]
    number = 0
    for place, found in enumerate(lines):
        if found == b"end %d" % number or found == line(0, 40)[:-1]:
            number = 1 if found == line(0, 40)[:-1] else 0
            continue
        expected = line(number, 40)[:-1]
        assert found == expected, f"line {place}: {found[:40]!r} in place of {expected[:40]!r}"
        number += 1
    return len(lines)
