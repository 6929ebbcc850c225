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
from supervisor_lite.core.waiting import Waiting
from supervisor_lite.errors import OperationFailed
from supervisor_lite.explain.reason import asked_text, reason
from supervisor_lite.model.cause import Cause
from supervisor_lite.model.operation import Operation, OperationKind
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
        """Start processes by ascending priority; true when RUNNING, failed at the first failure."""
        already = [
            done(p, ResultCode.ALREADY_STARTED)
            for p in processes
            if p.record.state in (State.STARTING, State.RUNNING)
        ]
        todo = [p for p in processes if p.record.state not in (State.STARTING, State.RUNNING)]
        waiting = self._watch_starts(todo, _started)
        self._supervisor.unfinished.start_asked([p.name for p in processes])
        for process in self._in_order(todo):
            self._supervisor.start(process, by)
        return already + await _results(todo, waiting, "starting", wait=wait, timeout=timeout)

    async def stop(
        self, processes: Sequence[Process], by: str, *, wait: bool, timeout: float | None
    ) -> list[Result]:
        """Stop processes in waves by descending priority; true when nothing of them is left."""
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
        # Now, not in the job: whoever asks next, on the same connection, finds it stopping.
        stopping = self._begin_stop(first, by)
        job = asyncio.ensure_future(self._go_on_stopping(first, stopping, more, by))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        if key is not None:
            job.add_done_callback(lambda job: self._on_stopped(job, key))
        if not wait:
            return results + [done(p, ResultCode.ACCEPTED, "stopping") for p in todo]
        return results + await _bounded(job, todo, timeout)

    def _on_stopped(self, job: asyncio.Future[list[Result]], key: str) -> None:
        self._jobs.discard(job)
        if not job.cancelled():  # by the end of the daemon: then the next one goes on
            self._supervisor.unfinished.end(key)

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

    def _begin_stop(self, wave: list[Process], by: str) -> Waiting[Result]:
        waiting = Waiting(self._bus, wave, _stopped)
        with self._supervisor.signals.together():
            for process in wave:
                self._supervisor.stop(process, by)
        return waiting

    async def _go_on_stopping(
        self, first: list[Process], stopping: Waiting[Result], more: list[list[Process]], by: str
    ) -> list[Result]:
        results = await _results(first, stopping, "")
        for wave in more:
            results += await _results(wave, self._begin_stop(wave, by), "")
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

        waiting = self._watch_starts(processes, verdict)
        self._supervisor.unfinished.start_asked([p.name for p in processes])
        with self._supervisor.signals.together():
            for process in self._in_order(processes):
                self._supervisor.restart(process, by)
        return await _results(processes, waiting, "restarting", wait=wait, timeout=timeout)

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
        await Waiting(self._bus, list(self._supervisor.processes.values()), _stopped).verdicts()

    def _in_order(self, processes: Iterable[Process]) -> list[Process]:
        table = {p.name: p for p in processes}
        waves = order.start_waves(
            (p.program for p in table.values()), self._supervisor.table.groups
        )
        return [table[program.fullname] for wave in waves for program in wave]


async def _results(
    processes: Sequence[Process],
    waiting: Waiting[Result],
    meanwhile: str,
    *,
    wait: bool = True,
    timeout: float | None = None,
) -> list[Result]:
    """Return a result for each process, in their order.

    For those that are not decided, without `wait`: `meanwhile`, as a result that is ok; after
    `timeout` seconds: "timeout", as one that is not.
    """
    verdicts = await waiting.verdicts(wait=wait, timeout=timeout)
    return [verdicts.get(p.name) or _undecided(p, wait, meanwhile) for p in processes]


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
            spawned = record.error is None
            words = process.last_words() if spawned else ""
            code = ErrorCode.START_FAILED if spawned else ErrorCode.SPAWN_FAILED
            return failed(process, code, "failed", reason(process.program, record), words)
        case State.STOPPING | State.STOPPED:
            if record.wanted:
                return None
            why = asked_text(record)
            return failed(process, ErrorCode.ABORTED, "aborted", why)


def _stopped(process: Process) -> Result | None:
    """Is nothing of it left, or has somebody started it again?"""
    if process.is_down():
        return done(process, ResultCode.STOPPED)
    record = process.record
    if record.wanted and record.state in UP:
        why = f": {asked_text(record)}" if record.by else ""
        return failed(process, ErrorCode.ABORTED, "aborted", f"started again{why}")
    return None


async def _bounded(
    job: asyncio.Future[list[Result]], processes: list[Process], timeout: float | None
) -> list[Result]:
    """Wait for the job, but not longer than this; it goes on behind."""
    try:
        return await asyncio.wait_for(asyncio.shield(job), timeout)
    except TimeoutError:
        return [_stopped(p) or _undecided(p, True, "") for p in processes]
