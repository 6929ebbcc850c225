"""The methods that explain: events, runs, why, explain."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any

from supervisor_lite.control.connection import Connection, Request, Result
from supervisor_lite.core.bus import Bus
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.core.view import rfc3339
from supervisor_lite.errors import NoSuchProcess, OperationFailed
from supervisor_lite.explain import episodes, story
from supervisor_lite.explain.forecast import forecast
from supervisor_lite.model.change import Change
from supervisor_lite.model.program import Program
from supervisor_lite.model.run import RunRow
from supervisor_lite.model.states import State
from supervisor_lite.protocol import messages
from supervisor_lite.store.journal import Journal

_MOST = 1000
"""Changes or runs in one reply."""

_TOLD = 150
"""Changes from which the story of one process is told."""

_LIVE = 256
"""Changes that are kept at hand for subscribers; who is farther behind reads the journal."""

_PIECE = 64
"""Changes sent to a subscriber at once; between two pieces the loop does other things."""


class HistoryVerbs:
    """Answers from the journal."""

    def __init__(self, supervisor: Supervisor, journal: Journal, bus: Bus) -> None:
        self._supervisor = supervisor
        self._journal = journal
        self._bus = bus
        self._recent = _Recent(bus)

    def table(self) -> dict[str, Callable[[Request], Result | Awaitable[Result]]]:
        """Return the methods."""
        return {
            "events": self.events, "runs": self.runs, "why": self.why, "explain": self.explain,
        }  # fmt: skip

    def events(self, request: Request) -> Result:
        """Answer changes of state; with `follow`, go on as they happen."""
        since = request.params.number("since")
        limit = request.params.count("limit", 100 if since is None else _MOST, most=_MOST)
        follow = request.params.flag("follow", False)
        request.params.done()
        connection, last = request.connection, self._journal.serial
        after = min(since, last) if since is not None else None
        found = self._journal.history.changes(names=self._seen(request), after=after, limit=limit)
        result: dict[str, Any] = {"changes": [_change(change) for change in found]}
        if follow:
            number = connection.subscribe()
            result["subscription"] = number
            cut = after is not None and len(found) == limit
            position = last if not cut else found[-1].serial if found else after or 0
            feed = _Feed(self._journal, self._recent, connection, number, position)
            unsubscribe = self._bus.subscribe(Change, lambda _: feed.poke())

            def stop() -> None:
                unsubscribe()
                feed.close()

            connection.on_end(stop, feed.resume)
            feed.poke()
        return result

    def runs(self, request: Request) -> Result:
        """Answer runs, the newest first."""
        names = request.params.names(required=False)
        limit = request.params.count("limit", 50, most=_MOST)
        request.params.done()
        chosen = self._chosen(request, names) if names else self._seen(request)
        now = time.time()
        return {"runs": [_run(row, now) for row in self._journal.history.runs(chosen, limit)]}

    async def why(self, request: Request) -> Result:
        """Answer the chain of causes of each process, in words."""
        names = request.params.names(required=True)
        request.params.done()
        told = []
        for name in self._chosen(request, names):
            told.append({"fullname": name, "lines": [_sendable(s) for s in self._story(name)]})
            await asyncio.sleep(0)  # many take a while: others have their turn
        return {"processes": told}

    async def explain(self, request: Request) -> Result:
        """Answer what the restart policy of each process will do."""
        names = request.params.names(required=True)
        request.params.done()
        processes = request.chosen(names, self._supervisor.processes)
        told = []
        for process in processes:
            # A newer definition takes effect at the next spawn, which is what is asked about.
            program = process.latest
            future = forecast(program, process.record, time.monotonic())
            schedule = [moment._asdict() for moment in future.schedule]
            lines = list(future.lines)
            told.append({"fullname": process.name, "lines": lines, "schedule": schedule})
            await asyncio.sleep(0)
        return {"processes": told}

    def _seen(self, request: Request) -> list[str] | None:
        """Return the names that the caller may see; None if that is all there ever were."""
        connection = request.connection
        if any("*" in patterns for _, patterns in connection.granted):
            return None
        table = self._supervisor.processes
        return [name for name in table if connection.sees(request.method, name)]

    def _chosen(self, request: Request, names: Sequence[str]) -> list[str]:
        """Return the full names that are meant, also of processes that are no longer defined.

        Raises NoSuchProcess, NotPermitted.
        """
        found: dict[str, None] = {}
        unknown: list[str] = []
        for name in names:
            try:
                chosen = request.chosen([name], self._supervisor.processes)
                found |= dict.fromkeys(process.name for process in chosen)
            except NoSuchProcess:
                if name == _sendable(name) and self._journal.history.has(name):
                    found[name] = None
                else:
                    unknown.append(name)
        if unknown:
            raise NoSuchProcess(", ".join(unknown))
        for name in found:
            request.require(name)
        return list(found)

    def _story(self, name: str) -> list[str]:
        now = time.time()
        process = self._supervisor.processes.get(name)
        changes = self._journal.history.changes(names=[name], limit=_TOLD)
        runs = self._journal.history.runs([name], _TOLD)
        if process is None:
            return ["it is not defined any more", *_told(_gone(name, now), changes, runs, now)[1:]]
        return _told(process, changes, runs, now)


def _gone(name: str, now: float) -> Process:
    """Return what stands for a process of which only the journal knows."""
    group, _, process = name.rpartition(":")
    return Process(Program(name=process, group=group, command=("unknown",)), now)


def _told(process: Process, changes: list[Change], runs: list[RunRow], now: float) -> list[str]:
    record = process.record
    due = None
    waiting = record.state in (State.BACKOFF, State.EXITED) and not record.leftovers
    if waiting and record.deadline is not None:
        due = now + record.deadline - time.monotonic()
    known = episodes.Known(
        program=process.program,
        record=record,
        since=process.since,
        due=due,
        changes=changes,
        runs=runs,
        complete=len(changes) < _TOLD,
    )
    return story.tell(known, now, story.local_clock(now))


# Following.


class _Recent:
    """The latest changes, without a gap; shared by all subscribers."""

    def __init__(self, bus: Bus) -> None:
        self._changes: deque[Change] = deque(maxlen=_LIVE)
        bus.subscribe(Change, self._keep)

    def _keep(self, change: Change) -> None:
        if self._changes and change.serial != self._changes[-1].serial + 1:
            self._changes.clear()  # something in between was only written to the journal
        self._changes.append(change)

    def first(self) -> int | None:
        """Return the serial of the oldest change at hand."""
        return self._changes[0].serial if self._changes else None

    def after(self, serial: int, count: int) -> list[Change]:
        """Return the next changes after this serial that are at hand."""
        start = max(serial + 1 - (self.first() or 0), 0)
        return list(islice(self._changes, start, start + count))


class _Feed:
    """Sends changes to one subscriber, at its own speed.

    It remembers a position, not data: what a slow reader has not taken waits at hand or in the
    journal. So nothing is sent twice and nothing left out, unless the journal has lost it.
    """

    def __init__(
        self,
        journal: Journal,
        recent: _Recent,
        connection: Connection,
        number: int,
        position: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._journal = journal
        self._recent = recent
        self._connection = connection
        self._number = number
        self._position = position
        """Serial of the last change that was sent, or was not for this reader."""
        self._paused = False
        self._scheduled = False
        self._closed = False

    def poke(self) -> None:
        """Look, in the loop's next round, whether there is something to send."""
        behind = self._position < self._journal.serial
        if behind and not (self._scheduled or self._paused or self._closed):
            self._scheduled = True
            self._loop.call_soon(self._run)

    def resume(self) -> None:
        """Go on: the reader has read."""
        self._paused = False
        self.poke()

    def close(self) -> None:
        """Send no more."""
        self._closed = True

    def _run(self) -> None:
        self._scheduled = False
        if self._paused or self._closed:
            return
        changes = self._next()
        for change in changes:
            self._skip_to(change.serial - 1)
            self._position = change.serial
            if not self._connection.sees("events", change.name):
                continue
            note = {"subscription": self._number, "change": _change(change)}
            if not self._connection.notify(messages.NOTE_CHANGE, note):
                self._paused = True
                return
        if not changes:
            self._skip_to(self._journal.serial)
        self.poke()

    def _next(self) -> list[Change]:
        """Return what comes next, from hand or from the journal."""
        first = self._recent.first()
        if first is None or self._position + 1 < first:
            try:
                found = self._journal.history.changes(after=self._position, limit=_PIECE)
            except OperationFailed:
                found = []
            older = [change for change in found if first is None or change.serial < first]
            if older:
                return older
        return self._recent.after(self._position, _PIECE)

    def _skip_to(self, serial: int) -> None:
        """Tell how many changes are lost: the journal could not be written or has forgotten."""
        lost = serial - self._position
        if lost > 0:
            self._position = serial
            note = {"subscription": self._number, "changes": lost}
            self._connection.notify(messages.NOTE_MISSED, note)


# On the wire.


def _change(change: Change) -> dict[str, Any]:
    """Return a change as docs/protocol.md describes it."""
    return {
        "serial": change.serial,
        "time": rfc3339(change.time),
        "name": change.name,
        "process": change.process,
        "group": change.group,
        "from": change.from_state,
        "to": change.to_state,
        "cause": _sendable(change.cause),
        "note": _sendable(change.note),
        "by": _sendable(change.by),
        "run": change.run,
        "pid": change.pid,
        "exitcode": change.exitcode,
        "signal": change.signal,
        "expected": change.expected,
        "tries": change.tries,
        "last_words": _sendable(change.last_words),
    }


def _run(row: RunRow, now: float) -> dict[str, Any]:
    """Return a run as docs/protocol.md describes it."""
    duration = None
    if row.spawned is not None:
        end = row.ended if row.ended is not None else now
        duration = round(max(0.0, end - row.spawned), 3)
    return {
        "run": row.run,
        "name": row.name,
        "pid": row.pid,
        "spawned": rfc3339(row.spawned),
        "ended": rfc3339(row.ended),
        "exitcode": row.code,
        "signal": row.signal,
        "duration": duration,
        "reason": _sendable(_more(row)),
        "maxrss": row.maxrss,
        "utime": row.utime,
        "stime": row.stime,
        "last_words": _sendable(row.last_words or ""),
    }


def _more(row: RunRow) -> str:
    """Return what is known of the end of a run besides its exit code or signal."""
    reason = row.reason or ""
    if row.code is None and row.signal is None:
        return reason
    how, _, why = reason.partition(": ")
    return why or ("core dumped" if how.endswith("(core dumped)") else "")


def _sendable(text: str) -> str:
    """Return the text as UTF-8 can carry it: a caller may have typed half a surrogate pair."""
    return text if text.isascii() else text.encode(errors="replace").decode()
