"""The real engine with real children and a real journal, and a witness of all that it does."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from supervisor_lite.core import runs
from supervisor_lite.core.bus import Bus
from supervisor_lite.core.clock import Clock
from supervisor_lite.core.context import EngineContext
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.host.cgroups import open_cgroups
from supervisor_lite.host.own_limits import Descriptors
from supervisor_lite.host.procfs import read_stat
from supervisor_lite.host.secrets.for_run import RunSecrets
from supervisor_lite.host.socket_set import SocketSet
from supervisor_lite.host.spawn import Child, Spawner
from supervisor_lite.host.spawn_request import SpawnRequest
from supervisor_lite.model.change import Change
from supervisor_lite.store.journal import Journal, open_journal

PATIENCE = 30.0
"""Seconds that anything may take on a busy machine."""


class Pid(NamedTuple):
    """A child; its start tells it from who gets its pid later, which may be soon."""

    number: int
    start: int

    def is_alive(self) -> bool:
        """Has it not ended?"""
        stat = read_stat(self.number)
        return stat is not None and stat.start == self.start and stat.state not in "ZX"


class WitnessSpawner(Spawner):
    """Notes who was spawned; a second child of one process is a fault."""

    def __init__(self, descriptors: Descriptors) -> None:
        super().__init__(descriptors)
        self.pids: dict[str, list[Pid]] = {}
        self.faults: list[str] = []

    def spawn(self, request: SpawnRequest) -> Child:
        name = request.program.fullname
        pids = self.pids.setdefault(name, [])
        self.faults += [f"{name}: spawned while {pid} is alive" for pid in pids if pid.is_alive()]
        child = super().spawn(request)
        stat = read_stat(child.pid)
        assert stat is not None, "not reaped yet"
        pids.append(Pid(child.pid, stat.start))
        return child


class Engine:
    """A supervisor in a running loop; `faults` is what must stay empty."""

    def __init__(self, directory: Path) -> None:
        self.loop = asyncio.get_running_loop()
        self.reports: list[str] = []
        self.errors: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.errors.append(context))
        self.journal: Journal = open_journal(str(directory / "journal.db"), self.reports.append)
        self.spawner = WitnessSpawner(Descriptors(*resource.getrlimit(resource.RLIMIT_NOFILE), 256))
        self.bus = Bus(self.loop)
        self.published: list[Change] = []
        self.bus.subscribe(Change, self.published.append)
        self.signals: dict[int, list[str]] = {}
        """By run, the signals that main processes were sent."""
        self.supervisor = Supervisor(
            EngineContext(
                loop=self.loop,
                clock=Clock(),
                journal=self.journal,
                spawner=self.spawner,
                cgroups=open_cgroups("off", "test", self.reports.append),
                sockets=SocketSet(lambda name, fd: None, lambda name: None),
                secrets=RunSecrets(str(directory), self.reports.append),
                runtime_dir=str(directory),
                environment={"PATH": os.environ["PATH"]},
                report=self.reports.append,
                store=lambda name, fd: None,
                unstore=lambda name: None,
            ),
            self.bus,
        )
        # Not by signalfd, as in the daemon: pytest has threads, and they would get the signals.
        self.loop.add_signal_handler(signal.SIGCHLD, self.supervisor.runs._reaper._plan_sweep)

    def note_signal(self, process: Process, name: str) -> None:
        """Note a signal; SIGKILL before the stop signal is a fault."""
        pid = process.record.pid
        if process.pidfd is None or pid is None:
            return
        sent = self.signals.setdefault(process.record.run or 0, [])
        if name == "KILL" and process.program.stopsignal not in sent:
            self.spawner.faults.append(f"{process.name}: {pid} was sent KILL without TERM before")
        sent.append(name)

    async def until(self, is_so: Callable[[], object], what: str) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < deadline, f"not in time: {what}"
            await asyncio.sleep(0.005)

    def disagreements(self) -> list[str]:
        """Compare the table with the kernel and with the journal, and the journal with the bus."""
        supervisor, found = self.supervisor, list(self.spawner.faults)
        supervisor.flush()
        for name, pids in self.spawner.pids.items():
            process = supervisor.processes.get(name)
            known = process.record.pid if process is not None else None
            found += [
                f"{name}: {pid} lives on" for pid in pids if pid.is_alive() and pid.number != known
            ]
        rows = {row.name: row.record for row in self.journal.history.processes()}
        for name, process in supervisor.processes.items():
            row = rows.pop(name, None)  # one that was never asked for is not written
            kept = process.record if row is None else row
            if kept != process.record:
                found.append(f"{name}: is {process.record}, the journal says {kept}")
        found += [f"{name}: in the journal, not on the table" for name in rows]
        live = {p.record.run for p in supervisor.processes.values() if p.record.pid is not None}
        ended = {row.run for row in self.journal.history.open_runs()} - live - self.intended()
        found += [f"run {run} is open in the journal" for run in ended]
        serials = [change.serial for change in self.published]
        if serials != sorted(set(serials)):
            found.append(f"published out of order: {serials}")
        if self.published != self.journal.history.changes(after=0, limit=100_000):
            found.append("the journal has other changes than were published")
        return found

    def intended(self) -> set[int]:
        """Return the runs that are written down and not begun yet."""
        return set(self.supervisor.runs._reserved.values())

    async def end(self) -> None:
        """Stop everything and let go of everything."""
        for process in tuple(self.supervisor.processes.values()):
            self.supervisor.stop(process, "")
        everyone = self.supervisor.processes
        try:
            await self.until(
                lambda: all(process.is_down() for process in everyone.values()), "all are down"
            )
        finally:
            self.loop.remove_signal_handler(signal.SIGCHLD)
            self.supervisor.close()
            self.journal.close()


@contextmanager
def witness(engine: Engine, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the engine's signals noted."""
    original = runs.Runs.send_signal

    def send_signal(self: runs.Runs, process: Process, name: str, *, group: bool) -> None:
        engine.note_signal(process, name)
        original(self, process, name, group=group)

    with patch.context() as patched:
        patched.setattr(runs.Runs, "send_signal", send_signal)
        yield
