"""Time that is turned by hand, and children that exist on paper: delays without waiting."""

from __future__ import annotations

import asyncio
import os
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from supervisor_lite.core.bus import Bus
from supervisor_lite.core.channels import ProcessChannels
from supervisor_lite.core.clock import Clock
from supervisor_lite.core.context import EngineContext
from supervisor_lite.core.operations import Operations
from supervisor_lite.core.process import Process
from supervisor_lite.core.runs import Runs
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.host.socket_set import SocketSet
from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.events import Event, Exited, LeftoversGone, Spawned, SpawnFailed
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from supervisor_lite.store.journal import Journal, open_journal

T = TypeVar("T")

START = 1000.0
"""What the monotonic clock of a fake loop shows at first."""

EPOCH = 1_700_000_000.0
"""What the wall clock shows then."""


class _Selector(selectors.DefaultSelector):
    """Does not wait: when there is nothing to do, it is later at once."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing is due and somebody waits: for ever"
            self._advance(timeout)
        return ready


class FakeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer as soon as there is nothing to do."""

    def __init__(self) -> None:
        self._now = START
        super().__init__(_Selector(self.advance))

    def time(self) -> float:
        """Return the seconds that have passed by this loop's own reckoning."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass, as in a call that takes long."""
        self._now += seconds


def run(scene: Coroutine[Any, Any, T]) -> T:
    """Run a scene in a fake loop."""
    with asyncio.Runner(loop_factory=FakeLoop) as runner:
        return runner.run(scene)


class Life(NamedTuple):
    """What a child will do."""

    lasts: float | None = None
    """Seconds until it ends by itself; None: never."""
    exit: Exit = Exit(code=0)
    stops: float | None = 0.0
    """Seconds from the stop signal to its end; None: it ignores the signal."""
    dies: bool = True
    """Even SIGKILL does not end it, if not: it hangs in the kernel."""
    leftovers: float | None = None
    """Seconds from a stop signal to the end of what it leaves; negative: they ignore it."""


class FakeRuns(Runs):
    """Runs of children that exist on paper; the journal is real."""

    def __init__(
        self,
        context: EngineContext,
        channels: ProcessChannels,
        notify: Callable[[Process, Event], None],
    ) -> None:
        self._loop = context.loop
        self._clock = context.clock
        self._journal = context.journal
        self._notify = notify
        self._reserved: dict[Process, int] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self.lives: dict[str, list[Life]] = {}
        """What the next children will do; the last one goes on for all others."""
        self.spawned: list[tuple[float, str]] = []
        """Seconds since the start, and name."""
        self.signals: list[tuple[float, str, str]] = []
        """Seconds since the start, name, and signal; with a * to leftovers."""

    def reserve_run_ids(self, processes: Sequence[Process]) -> None:
        new = [process for process in processes if process not in self._reserved]
        numbers = self._journal.reserve_runs([process.name for process in new])
        self._reserved.update(zip(new, numbers, strict=True))

    def spawn(self, process: Process) -> Spawned | SpawnFailed:
        self.reserve_run_ids([process])
        run = self._reserved.pop(process)
        lives = self.lives[process.name]
        if len(lives) > 1 and any(name == process.name for _, name in self.spawned):
            lives.pop(0)
        self.spawned.append((self._loop.time() - START, process.name))
        pid = 1000 + run
        process.begin_run(os.open("/dev/null", os.O_RDONLY), self._clock.wall())
        self._journal.record_spawn(run, pid, "boot", 1, 1, process.started)
        if lives[0].lasts is not None:
            self._end_in(lives[0].lasts, process, run, lives[0].exit)
        return Spawned(run, pid)

    def record_identities(self) -> None:
        pass

    def look_below(self, process: Process, *, group: bool) -> None:
        pass

    def send_signal(self, process: Process, name: str, *, group: bool) -> None:
        self.signals.append((self._loop.time() - START, process.name, name))
        run, life = process.record.run, self._life(process)
        assert run is not None
        if name == "KILL":
            if life.dies:
                self._end_in(0, process, run, Exit(signal="SIGKILL"))
        elif life.stops is not None:
            self._end_in(life.stops, process, run, Exit(signal=f"SIG{name}"))

    def end_leftovers(
        self, process: Process, name: str, told: float | None, *, everyone: bool = False
    ) -> None:
        self.signals.append((self._loop.time() - START, process.name, f"{name}*"))
        run, left = process.record.run, self._life(process).leftovers
        assert run is not None
        assert left is not None
        if name == "KILL" or left >= 0:
            gone = LeftoversGone(run)
            self._loop.call_later(0 if name == "KILL" else left, self._notify, process, gone)

    def _life(self, process: Process) -> Life:
        return self.lives[process.name][0]

    def _end_in(self, seconds: float, process: Process, run: int, exit_status: Exit) -> None:
        if run in self._timers:
            self._timers[run].cancel()
        self._timers[run] = self._loop.call_later(seconds, self._end, process, run, exit_status)

    def _end(self, process: Process, run: int, exit_status: Exit) -> None:
        process.end_run()
        self._journal.record_end(run, Cause(CauseKind.EXITED, exit=exit_status))
        left = self._life(process).leftovers is not None
        self._notify(process, Exited(run, exit_status, left))

    def forget(self, process: Process) -> None:
        run = self._reserved.pop(process, None)
        if run is not None:
            self._journal.record_end(run, Cause(CauseKind.WITHDRAWN))

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()


class Stage:
    """The real engine and a real journal, in a fake loop, with children on paper."""

    def __init__(self, directory: Path) -> None:
        self.loop = cast(FakeLoop, asyncio.get_running_loop())
        self.reports: list[str] = []
        self.clock = Clock(self.loop.time, lambda: EPOCH + self.loop.time() - START)
        self.journal: Journal = open_journal(
            str(directory / "journal.db"), self.reports.append, now=self.clock.wall
        )
        self.bus = Bus(self.loop)
        context = EngineContext(
            loop=self.loop,
            clock=self.clock,
            journal=self.journal,
            spawner=cast(Any, None),  # nothing of the host is touched
            cgroups=cast(Any, None),
            sockets=SocketSet(lambda name, fd: None, lambda name: None),
            secrets=cast(Any, None),
            runtime_dir=str(directory),
            environment={},
            report=self.reports.append,
            store=lambda name, fd: None,
            unstore=lambda name: None,
        )
        self.supervisor = Supervisor(context, self.bus, FakeRuns)
        self.runs = cast(FakeRuns, self.supervisor.runs)
        self.operations = Operations(self.supervisor, self.bus)

    def add(self, program: Program, *lives: Life) -> Process:
        """Put a process on the table whose children will do this, one after the other."""
        self.runs.lives[program.fullname] = list(lives) or [Life()]
        return self.supervisor.table.add(program)

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return self.loop.time() - START

    async def until(self, seconds: float) -> None:
        """Let everything happen that is due until then, in seconds since the start."""
        await asyncio.sleep(seconds - self.now)

    def history(self, process: Process) -> list[str]:
        """Return the changes in the journal: "0 STARTING", "1.5 RUNNING" …"""
        changes = self.journal.history.changes(names=[process.name], after=0)
        return [f"{round(c.time - EPOCH, 3):g} {c.to_state}" for c in changes]

    def spawned(self, process: Process) -> list[float]:
        """Return the seconds at which children of a process were spawned."""
        return [round(when, 3) for when, name in self.runs.spawned if name == process.name]

    def signals(self, process: Process) -> list[str]:
        """Return what was sent to a process: "0 TERM", to leftovers "5 KILL*" …"""
        sent = self.runs.signals
        return [f"{round(when, 3):g} {text}" for when, name, text in sent if name == process.name]

    def close(self) -> None:
        """Let go of everything."""
        for process in self.supervisor.processes.values():
            process.end_run()
        self.supervisor.close()
        self.journal.close()


Play = Callable[[Callable[[Stage], Awaitable[None]]], None]
"""Runs a scene; see conftest.py."""
