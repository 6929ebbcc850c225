"""What an operator asks of many processes at once, and when it has come true.

An operation belongs to the daemon, not to the client that asked: it goes on if the client hangs
up. The answer comes from the bus, never from polling.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TypeAlias

from supervisor_lite.core.bus import Bus
from supervisor_lite.core.process import Process
from supervisor_lite.core.results import (
    Result,
    aborted,
    bounded,
    done,
    outcomes,
    started,
    started_again,
    stopped,
    stopped_now,
)
from supervisor_lite.core.starting import in_start_order
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.core.waiting import Waiting
from supervisor_lite.model.cause import Cause
from supervisor_lite.model.events import RESTART_ASKED, STOP_ASKED, StopAnnounced
from supervisor_lite.model.operation import Operation, OperationKind
from supervisor_lite.model.states import State
from supervisor_lite.protocol.codes import ResultCode
from supervisor_lite.rules import order

Verdict: TypeAlias = Callable[[Process], Result | None]
"""Says what became of a process; None while that is not decided."""


class Operations:
    """Start, stop and restart many; wait for the outcome."""

    def __init__(self, supervisor: Supervisor, bus: Bus) -> None:
        self._supervisor = supervisor
        self._bus = bus
        self._jobs: set[asyncio.Future[list[Result]]] = set()
        """Operations that go on, whether or not anybody waits for them."""

    async def start(
        self, processes: Sequence[Process], by: str, *, wait: bool, timeout: float | None
    ) -> list[Result]:
        """Start processes by ascending priority; true when RUNNING, failed at the first failure.

        One that is STARTING already is waited for like all others. One that waits for its turn to
        be stopped is started.
        """
        already = [done(p, ResultCode.ALREADY_STARTED) for p in processes if _is_kept_running(p)]
        todo = [p for p in processes if not _is_kept_running(p)]
        waiting = self._watch_starts(todo, started)
        self._supervisor.unfinished.start_asked([p.name for p in processes])
        for process in in_start_order(todo, self._supervisor.table.groups):
            self._supervisor.start(process, by)
        return already + await outcomes(todo, waiting, "starting", wait=wait, timeout=timeout)

    async def not_up(
        self, processes: Sequence[Process], *, timeout: float | None = None
    ) -> list[Result]:
        """Wait for processes that were started just now; return those that are not up, and why."""
        present = [process for process in processes if self._supervisor.table.has(process)]
        waiting = Waiting(self._bus, present, started)
        results = await outcomes(present, waiting, "", timeout=timeout)
        return [result for result in results if not result.ok]

    async def stop(
        self, processes: Sequence[Process], by: str, *, wait: bool, timeout: float | None
    ) -> list[Result]:
        """Stop processes in waves by descending priority; true when nothing of them is left.

        The wish goes off for all of them at once, only the signals wait for their wave. Whoever
        starts one before its turn comes withdraws its stop.
        """
        names = tuple(p.name for p in processes)
        self._supervisor.unfinished.stop_asked(names)
        return await self._stop(processes, by, wait=wait, timeout=timeout, written=False)

    async def stop_in_order(self, processes: Sequence[Process], by: str) -> None:
        """Stop processes as a step of an operation that the journal knows already."""
        await self._stop(processes, by, wait=True, timeout=None, written=True)

    async def _stop(
        self,
        processes: Sequence[Process],
        by: str,
        *,
        wait: bool,
        timeout: float | None,
        written: bool,
    ) -> list[Result]:
        results = [done(p, ResultCode.NOT_RUNNING) for p in processes if p.is_down()]
        for process in processes:
            if process.is_down():
                self._supervisor.stop(process, by)  # the wish is noted even so
        todo = [p for p in processes if not p.is_down()]
        first, *more = self._stop_waves(todo) or [[]]
        key = None
        if more and not written:
            operation = Operation(OperationKind.STOP, by, tuple(p.name for p in todo))
            key = self._supervisor.unfinished.begin(operation)
        for process in (process for wave in more for process in wave):
            self._supervisor.feed(process, StopAnnounced(by))
        # Now, not in the job: whoever asks next, on the same connection, finds it stopping.
        stopping = self._begin_stop(first, by)
        job = self._go_on(self._go_on_stopping(first, stopping, more, by), key)
        if not wait:
            return results + [done(p, ResultCode.ACCEPTED, "stopping") for p in todo]
        return results + await bounded(job, todo, timeout, stopped)

    def _go_on(
        self, work: Coroutine[None, None, list[Result]], key: str | None
    ) -> asyncio.Future[list[Result]]:
        """Have this go on whether or not anybody waits; `key` is what the journal knows it by."""
        job = asyncio.ensure_future(work)
        self._jobs.add(job)

        def over(job: asyncio.Future[list[Result]]) -> None:
            self._jobs.discard(job)
            if (
                key is not None and not job.cancelled()
            ):  # by the end of the daemon: the next goes on
                self._supervisor.unfinished.end(key)

        job.add_done_callback(over)
        return job

    def _watch_starts(
        self, processes: Sequence[Process], verdict: Callable[[Process], Result | None]
    ) -> Waiting[Result]:
        """Wait for what is about to be started. Raises OperationFailed if nothing is any more."""
        if processes:
            self._supervisor.refuse_if_stopping()  # before anybody subscribes
        return Waiting(self._bus, processes, verdict)

    def _stop_waves(self, processes: list[Process]) -> list[list[Process]]:
        table = {p.name: p for p in processes}
        waves = order.stop_waves([p.program for p in processes], self._supervisor.table.groups)
        return [[table[program.fullname] for program in wave] for wave in waves]

    def _begin_stop(
        self, wave: list[Process], by: str, cause: Cause = STOP_ASKED
    ) -> Waiting[Result]:
        waiting = Waiting(self._bus, wave, stopped_now(wave))
        with self._supervisor.signals.together():
            for process in wave:
                self._supervisor.stop(process, by, cause)
        return waiting

    async def _go_on_stopping(
        self, first: list[Process], stopping: Waiting[Result], more: list[list[Process]], by: str
    ) -> list[Result]:
        results = await outcomes(first, stopping, "")
        for wave in more:
            turn = [process for process in wave if not process.record.wanted]
            results += [started_again(process) for process in wave if process.record.wanted]
            results += await outcomes(turn, self._begin_stop(turn, by), "")
        return results

    async def restart(
        self,
        processes: Sequence[Process],
        by: str,
        *,
        wait: bool,
        timeout: float | None,
        at_once: bool = False,
    ) -> list[Result]:
        """Restart processes; true when a new run is RUNNING.

        Those of one priority at once. Others in waves, as a stop and a start of all would be: down
        by descending priority, then up by ascending; or all of them `at_once`.
        """
        verdict = _has_new_run(processes)
        waves = [] if at_once else self._stop_waves(list(processes))
        if len(waves) > 1:
            self._supervisor.refuse_if_stopping()
            job = self._restart_in_waves(waves, by, verdict)
            if not wait:
                return [done(p, ResultCode.ACCEPTED, "restarting") for p in processes]
            return await bounded(job, processes, timeout, verdict)
        waiting = self._watch_starts(processes, verdict)
        self._supervisor.unfinished.start_asked([p.name for p in processes])
        with self._supervisor.signals.together():
            for process in in_start_order(processes, self._supervisor.table.groups):
                self._supervisor.restart(process, by)
        return await outcomes(processes, waiting, "restarting", wait=wait, timeout=timeout)

    def _restart_in_waves(
        self, waves: list[list[Process]], by: str, verdict: Verdict
    ) -> asyncio.Future[list[Result]]:
        """Begin to; the journal knows of it, so that the next daemon finishes what this one cannot.

        Somebody's stop of one of them while they are down leaves it out.
        """
        unfinished = self._supervisor.unfinished
        everyone = [process for wave in waves for process in wave]
        names = tuple(process.name for process in everyone)
        runs = tuple(process.record.run or 0 for process in everyone)
        unfinished.start_asked(names)
        key = unfinished.begin(Operation(OperationKind.RESTART, by, names, runs=runs))

        def present(some: Iterable[Process]) -> list[Process]:
            if self._supervisor.stopping:
                return []
            return [process for process in some if unfinished.has(key, process.name)]

        down = self._begin_stop(waves[0], by, RESTART_ASKED)

        async def go_on() -> list[Result]:
            await down.verdicts()
            for wave in waves[1:]:
                await self._begin_stop(present(wave), by, RESTART_ASKED).verdicts()
            up = present(process for wave in reversed(waves) for process in wave)
            waiting = Waiting(self._bus, up, verdict)
            for process in up:
                self._supervisor.start(process, by, RESTART_ASKED)
            results = await outcomes(up, waiting, "")
            return results + [aborted(process) for process in everyone if process not in up]

        return self._go_on(go_on(), key)

    async def respawned(self, processes: Sequence[Process], by: str, cause: Cause) -> None:
        """Restart processes and wait until each has its new definition, however it fares."""

        def verdict(process: Process) -> Result | None:
            over = process.definition.next is None or not process.record.wanted
            return done(process, ResultCode.RESTARTED) if over else None

        waiting = self._watch_starts(processes, verdict)
        with self._supervisor.signals.together():
            for process in processes:
                self._supervisor.restart(process, by, cause)
        await waiting.verdicts()

    async def all_down(self) -> None:
        """Wait until no process of the table is up or about to be."""
        await Waiting(self._bus, list(self._supervisor.processes.values()), stopped).verdicts()


def _is_kept_running(process: Process) -> bool:
    """Is it RUNNING, and not only until its turn comes to be stopped?"""
    return process.record.state is State.RUNNING and process.record.wanted


def _has_new_run(processes: Sequence[Process]) -> Verdict:
    """Return what judges a restart that is about to begin."""
    before = {process.name: process.record.run for process in processes}

    def verdict(process: Process) -> Result | None:
        result = started(process)
        if result is None or not result.ok:
            return result
        if process.record.run == before[process.name]:
            return None
        return done(process, ResultCode.RESTARTED)

    return verdict
