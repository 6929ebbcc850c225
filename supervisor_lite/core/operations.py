"""What an operator asks of many processes at once, and when it has come true.

An operation belongs to the daemon, not to the client that asked: it goes on if the client hangs
up. The answer comes from the bus, never from polling.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from supervisor_lite.core.bus import Bus
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.core.topics import WishWithdrawn
from supervisor_lite.errors import OperationFailed
from supervisor_lite.explain.reason import reason
from supervisor_lite.model.change import Change
from supervisor_lite.model.states import UP, State
from supervisor_lite.protocol.codes import ErrorCode, ResultCode
from supervisor_lite.rules import order


class Result(NamedTuple):
    """What became of one process in an operation."""

    name: str
    group: str
    fullname: str
    ok: bool
    result: str
    reason: str = ""
    last_words: str = ""
    """For a start that failed: the last lines of its output."""
    code: str = ""
    """What `result` says, for programs: of `ResultCode`, or of `ErrorCode` if it is not ok."""

    def to_json(self) -> dict[str, Any]:
        """Return it as docs/protocol.md describes."""
        return self._asdict()


def done(process: Process, code: str, result: str = "") -> Result:
    """Return the result that is ok; its word is that of the code unless it says more."""
    word = result or code.replace("_", " ")
    return Result(process.program.name, process.group, process.name, True, word, code=code)


def failed(process: Process, code: str, result: str, why: str, last_words: str = "") -> Result:
    """Return the result that is not; `result` is the word for it, `why` says more."""
    about = (process.program.name, process.group, process.name)
    return Result(*about, False, result, why, last_words, code)


def refused(process: Process, error: OperationFailed) -> Result:
    """Return the result that says why it could not be done."""
    return failed(process, error.code, "failed", str(error))


Verdict = Callable[[Process], Result | None]
"""Says what became of a process, or None while that is not decided."""


class Operations:
    """Start, stop and restart many; wait for the outcome."""

    def __init__(self, supervisor: Supervisor, bus: Bus) -> None:
        self._supervisor = supervisor
        self._bus = bus

    async def start(
        self, processes: Sequence[Process], by: str, *, wait: bool, timeout: float | None
    ) -> list[Result]:
        """Start processes by ascending priority; true when RUNNING, failed at the first failure."""
        already = [
            done(p, ResultCode.ALREADY_STARTED)
            for p in processes
            if p.record.state in (State.STARTING, State.RUNNING)
        ]
        todo = [p for p in processes if p.record.state not in (State.STARTING, State.RUNNING)]
        waiting = self._watch(todo, _started)
        for process in self._in_order(todo):
            self._supervisor.start(process, by)
        return already + await waiting.outcome(wait, timeout, "starting")

    async def stop(
        self, processes: Sequence[Process], by: str, *, wait: bool, timeout: float | None
    ) -> list[Result]:
        """Stop processes in waves by descending priority; true when nothing of them is left."""
        results = [done(p, ResultCode.NOT_RUNNING) for p in processes if p.is_down()]
        for process in processes:
            if process.is_down():
                self._supervisor.stop(process, by)  # the wish is noted even so
        todo = [p for p in processes if not p.is_down()]
        first, *more = self._stop_waves(todo) or [[]]
        # Now, not in the job: whoever asks next, on the same connection, finds it stopping.
        stopping = self._begin_stop(first, by)
        job = asyncio.ensure_future(self._go_on_stopping(stopping, more, by))
        if not wait:
            _keep(job)
            return results + [done(p, ResultCode.ACCEPTED, "stopping") for p in todo]
        return results + await _bounded(job, todo, timeout)

    def _stop_waves(self, processes: list[Process]) -> list[list[Process]]:
        table = {p.name: p for p in processes}
        waves = order.stop_waves([p.program for p in processes], self._supervisor.table.groups)
        return [[table[program.fullname] for program in wave] for wave in waves]

    def _begin_stop(self, wave: list[Process], by: str) -> _Waiting:
        waiting = self._watch(wave, _stopped)
        for process in wave:
            self._supervisor.stop(process, by)
        return waiting

    async def _go_on_stopping(
        self, first: _Waiting, more: list[list[Process]], by: str
    ) -> list[Result]:
        results = await first.outcome(True, None, "")
        for wave in more:
            results += await self._begin_stop(wave, by).outcome(True, None, "")
        return results

    async def restart(
        self, processes: Sequence[Process], by: str, *, wait: bool, timeout: float | None
    ) -> list[Result]:
        """Restart processes, all at once; true when a new run is RUNNING."""
        before = {p.name: p.record.run for p in processes}

        def verdict(process: Process) -> Result | None:
            result = _started(process)
            if result is None or not result.ok:
                return result
            if process.record.run == before[process.name]:
                return None
            return done(process, ResultCode.RESTARTED)

        waiting = self._watch(processes, verdict)
        for process in self._in_order(processes):
            self._supervisor.restart(process, by)
        return await waiting.outcome(wait, timeout, "restarting")

    async def respawned(self, processes: Sequence[Process], by: str, cause: str) -> None:
        """Restart processes and wait until each has its new definition, however it fares."""

        def verdict(process: Process) -> Result | None:
            over = process.definition.next is None or not process.record.wanted
            return done(process, ResultCode.RESTARTED) if over else None

        waiting = self._watch(processes, verdict)
        for process in processes:
            self._supervisor.restart(process, by, cause)
        await waiting.outcome(True, None, "")

    async def all_down(self) -> None:
        """Wait until no process of the table is up or about to be."""
        waiting = self._watch(list(self._supervisor.processes.values()), _stopped)
        await waiting.outcome(True, None, "")

    def _in_order(self, processes: Iterable[Process]) -> list[Process]:
        table = {p.name: p for p in processes}
        waves = order.start_waves(
            (p.program for p in table.values()), self._supervisor.table.groups
        )
        return [table[program.fullname] for wave in waves for program in wave]

    def _watch(self, processes: Sequence[Process], verdict: Verdict) -> _Waiting:
        return _Waiting(self._bus, processes, verdict)


class _Waiting:
    """Collects verdicts as changes are published; subscribed before anything is asked."""

    def __init__(self, bus: Bus, processes: Sequence[Process], verdict: Verdict) -> None:
        self._loop = asyncio.get_running_loop()
        self._open = {p.name: p for p in processes}
        self._order = list(processes)
        self._verdict = verdict
        self._results: dict[str, Result] = {}
        self._dirty: set[str] = set()
        self._done = self._loop.create_future()
        self._unsubscribe = (
            bus.subscribe(Change, lambda change: self._look_at(change.name)),
            bus.subscribe(WishWithdrawn, lambda withdrawn: self._look_at(withdrawn.name)),
        )

    def _look_at(self, name: str) -> None:
        if name in self._open and not self._dirty:
            # What follows from this at once is published in the same turn.
            self._loop.call_soon(self._evaluate)
        if name in self._open:
            self._dirty.add(name)

    def _evaluate(self) -> None:
        dirty, self._dirty = self._dirty, set()
        self._judge(dirty)

    def _judge(self, names: Iterable[str]) -> None:
        for name in names:
            process = self._open.get(name)
            result = self._verdict(process) if process is not None else None
            if result is not None:
                del self._open[name]
                self._results[name] = result
        if not self._open and not self._done.done():
            self._done.set_result(None)

    async def outcome(self, wait: bool, timeout: float | None, meanwhile: str) -> list[Result]:
        """Return a result for each process, in the order in which they were given.

        Without `wait`, or after `timeout` seconds, for those that are not decided: `meanwhile`
        as a result that is ok, or "timeout" as one that is not.
        """
        try:
            self._judge(tuple(self._open))
            if wait:
                await asyncio.wait((self._done,), timeout=timeout)
            self._judge(tuple(self._open))
        finally:
            for unsubscribe in self._unsubscribe:
                unsubscribe()
            self._done.cancel()
        return [self._results.get(p.name) or _undecided(p, wait, meanwhile) for p in self._order]


def _undecided(process: Process, wait: bool, meanwhile: str) -> Result:
    if not wait:
        return done(process, ResultCode.ACCEPTED, meanwhile)
    why = reason(process.program, process.record) or process.record.state.name
    return failed(process, ErrorCode.TIMED_OUT, "timeout", f"not done in time: {why}")


def _started(process: Process) -> Result | None:
    """Is it up, or has the start failed?"""
    record = process.record
    pending = record.wanted and (record.asked or record.deadline is not None or record.leftovers)
    match record.state:
        case State.RUNNING:
            return done(process, ResultCode.STARTED)
        case State.STARTING:
            return None
        case State.EXITED:
            return None if pending else done(process, ResultCode.STARTED)
        case State.BACKOFF | State.FATAL:
            if record.asked:
                return None
            words = "" if record.error else process.last_words()
            code = ErrorCode.SPAWN_FAILED if record.error else ErrorCode.START_FAILED
            return failed(process, code, "failed", reason(process.program, record), words)
        case State.STOPPING | State.STOPPED:
            if record.wanted:
                return None
            why = f"{record.cause} by {record.by}" if record.by else record.cause
            return failed(process, ErrorCode.ABORTED, "aborted", why)


def _stopped(process: Process) -> Result | None:
    """Is nothing of it left, or has somebody started it again?"""
    if process.is_down():
        return done(process, ResultCode.STOPPED)
    record = process.record
    if record.wanted and record.state in UP:
        why = f": {record.cause} by {record.by}" if record.by else ""
        return failed(process, ErrorCode.ABORTED, "aborted", f"started again{why}")
    return None


_running: set[asyncio.Future[list[Result]]] = set()


def _keep(job: asyncio.Future[list[Result]]) -> None:
    """Hold a reference to a job that nobody waits for, until it is done (asyncio's rule)."""
    _running.add(job)
    job.add_done_callback(_running.discard)


async def _bounded(
    job: asyncio.Future[list[Result]], processes: list[Process], timeout: float | None
) -> list[Result]:
    """Wait for the job, but not longer than this; it goes on behind."""
    _keep(job)
    try:
        return await asyncio.wait_for(asyncio.shield(job), timeout)
    except TimeoutError:
        return [_stopped(p) or _undecided(p, True, "") for p in processes]
