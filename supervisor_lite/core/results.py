"""What became of each process in an operation: the results, and how they are judged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from supervisor_lite.core.process import Process
from supervisor_lite.core.waiting import Waiting
from supervisor_lite.errors import OperationFailed
from supervisor_lite.explain.reason import asked_text, reason
from supervisor_lite.model.cause import NoteKind
from supervisor_lite.model.states import UP, State
from supervisor_lite.protocol.codes import ErrorCode, ResultCode


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
    killed_after: float | None = None
    """Of a stop that took SIGKILL: the seconds that the stop signal was given; 0 at once."""

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


async def outcomes(
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
    return [verdicts.get(p.name) or undecided(p, wait, meanwhile) for p in processes]


def undecided(process: Process, wait: bool, meanwhile: str) -> Result:
    """Return the result of what is not true yet."""
    if not wait:
        return done(process, ResultCode.ACCEPTED, meanwhile)
    why = reason(process.program, process.record) or process.record.state.name
    return failed(process, ErrorCode.TIMED_OUT, "timeout", f"not done in time: {why}")


def started(process: Process) -> Result | None:
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
            return aborted(process)


def stopped(process: Process) -> Result | None:
    """Is nothing of it left, or has somebody started it again?"""
    if process.is_down():
        return done(process, ResultCode.STOPPED)
    record = process.record
    return started_again(process) if record.wanted and record.state in UP else None


def stopped_now(processes: Sequence[Process]) -> Callable[[Process], Result | None]:
    """Return what judges a stop that is about to begin, and tells who had to be killed."""
    alive = {process.name for process in processes if process.record.pid is not None}

    def verdict(process: Process) -> Result | None:
        result = stopped(process)
        if result is None or not result.ok or process.name not in alive:
            return result
        return result._replace(killed_after=_killed_after(process))

    return verdict


def _killed_after(process: Process) -> float | None:
    """Return how long the main process had time to end before SIGKILL; None if it did end."""
    kills = [note for note in process.record.notes if note.kind is NoteKind.KILLED]
    return kills[-1].seconds or 0.0 if kills else None


def started_again(process: Process) -> Result:
    """Return the result of a stop that somebody's start has put an end to."""
    why = f": {asked_text(process.record)}" if process.record.by else ""
    return failed(process, ErrorCode.ABORTED, "aborted", f"started again{why}")


def aborted(process: Process) -> Result:
    """Return the result of a start that somebody's stop has put an end to."""
    return failed(process, ErrorCode.ABORTED, "aborted", asked_text(process.record))


async def bounded(
    job: asyncio.Future[list[Result]],
    processes: Sequence[Process],
    timeout: float | None,
    verdict: Callable[[Process], Result | None],
) -> list[Result]:
    """Wait for the job, but not longer than this; it goes on behind, and `verdict` says how far."""
    try:
        return await asyncio.wait_for(asyncio.shield(job), timeout)
    except TimeoutError:
        return [verdict(p) or undecided(p, True, "") for p in processes]
