"""The methods that explain: events, runs, why, explain."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from functools import partial
from typing import Any

from supervisor_lite.control.jsonrpc import Result
from supervisor_lite.control.methods.change_feed import (
    ChangeFeed,
    RecentChanges,
    change_json,
    sendable,
    sendable_data,
)
from supervisor_lite.control.names import meant
from supervisor_lite.control.request import Methods, Request
from supervisor_lite.control.subscriptions import Subscription
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.core.topics import GatewayInForce
from supervisor_lite.core.view import rfc3339
from supervisor_lite.errors import NoSuchProcess, ProtocolError
from supervisor_lite.explain.cause import beyond_exit_text
from supervisor_lite.model.advice import Advice
from supervisor_lite.model.cause import SpawnFailure
from supervisor_lite.model.change import Change
from supervisor_lite.model.program import Program
from supervisor_lite.model.run import RunRow
from supervisor_lite.model.states import State
from supervisor_lite.protocol.codes import INVALID_PARAMS
from supervisor_lite.protocol.messages import NOTE_CONFIGURATION
from supervisor_lite.store.codec import encode
from supervisor_lite.store.journal import Journal

method = Methods()

MAX_ROWS = 1000
"""Changes or runs in one reply."""

_UNKNOWN = ("unknown",)
"""The command of what is not defined any more."""

STORY_CHANGES = 150
"""Changes from which the story of one process is told."""

STORY_INTERVENTIONS = 20
"""The same, of those which are signals, input and emptied logs."""


class HistoryMethods:
    """Answers from the journal."""

    def __init__(self, supervisor: Supervisor, journal: Journal) -> None:
        self._supervisor = supervisor
        self._journal = journal
        self._recent = RecentChanges(supervisor.bus)

    @method("events")
    def events(self, request: Request) -> Result:
        """Answer changes of state; with `follow`, go on as they happen."""
        since = request.params.number("since")
        limit = request.params.count("limit", 100 if since is None else MAX_ROWS, maximum=MAX_ROWS)
        before = request.params.number("before")
        follow = request.params.flag("follow", False)
        request.params.done()
        last = self._journal.serial
        after = min(since, last) if since is not None else None
        found = self._journal.history.changes(
            names=self._seen(request), after=after, before=before, limit=limit
        )
        result: dict[str, Any] = {"changes": [change_json(change) for change in found]}
        if follow:
            cut = after is not None and len(found) == limit
            position = last if not cut else found[-1].serial if found else after or 0
            result |= {"subscription": self._follow(request, position), "serial": last}
        return result

    def _follow(self, request: Request, position: int) -> int:
        """Send the changes after a serial to the client from now on."""
        subscription = Subscription(request.connection)
        sees = partial(request.connection.sees, request.method)
        feed = ChangeFeed(self._journal, self._recent, subscription, sees, position)
        bus = self._supervisor.bus

        def tell(_: GatewayInForce) -> None:
            subscription.notify(NOTE_CONFIGURATION)

        unsubscribe = bus.subscribe(Change, lambda _: feed.on_change())
        forget = bus.subscribe(GatewayInForce, tell)

        def stop() -> None:
            unsubscribe()
            forget()
            feed.close()

        subscription.on_end(stop, feed.resume)
        feed.on_change()
        return subscription.number

    @method("runs")
    def runs(self, request: Request) -> Result:
        """Answer runs, the newest first."""
        names = request.params.names(required=False)
        limit = request.params.count("limit", 50, maximum=MAX_ROWS)
        before = request.params.number("before")
        request.params.done()
        chosen = self._chosen(request, names) if names else self._seen(request)
        now = time.time()
        found = self._journal.history.runs(chosen, limit, before)
        return {"runs": [_run(row, now) for row in found]}

    @method("why")
    async def why(self, request: Request) -> Result:
        """Answer the chain of causes of each process, in words."""
        names = request.params.names(required=True)
        zone = _zone(request.params.text("offset", ""))
        request.params.done()
        told = []
        for name in self._chosen(request, names):
            await request.connection.turn()  # many take a while: others have their turn
            told.append({"fullname": name, "lines": [sendable(s) for s in self._story(name, zone)]})
        return {"processes": told}

    @method("explain")
    async def explain(self, request: Request) -> Result:
        """Answer what the restart policy of each process will do."""
        from supervisor_lite.explain.forecast import forecast  # not before somebody asks

        names = request.params.names(required=True)
        request.params.done()
        processes = request.chosen(names, self._supervisor.processes)
        told = []
        for process in processes:
            await request.connection.turn()
            # A newer definition takes effect at the next spawn, which is what is asked about.
            program = process.latest
            future = forecast(program, process.record, time.monotonic())
            schedule = [moment._asdict() for moment in future.schedule]
            lines = list(future.lines)
            told.append({"fullname": process.name, "lines": lines, "schedule": schedule})
        return {"processes": told}

    def _seen(self, request: Request) -> list[str] | None:
        """Return the names that the caller may see; None if that is all there ever were."""
        connection = request.connection
        if connection.granted.sees_everything():
            return None
        table = self._supervisor.processes
        return [name for name in table if connection.sees(request.method, name)]

    def _chosen(self, request: Request, names: Sequence[str]) -> list[str]:
        """Return the full names that are meant, also of processes that are no longer defined.

        Raises NoSuchProcess, NotPermitted, LimitExceeded.
        """
        found: dict[str, None] = {}
        unknown: list[str] = []
        for name, processes in meant(names, self._supervisor.processes, request.seen()):
            found |= dict.fromkeys(process.name for process in processes)
            if not processes and name != "all" and not self._has(name, len(unknown)):
                unknown.append(name)
            elif not processes and name != "all":
                found[name] = None
        if unknown:
            raise NoSuchProcess(unknown)
        for name in found:
            request.require(name)
        return list(found)

    def _has(self, name: str, unknown: int) -> bool:
        """Does the journal know the name? After so many that it does not know it is not asked."""
        asked = unknown < MAX_ROWS and name == sendable(name)
        return asked and self._journal.history.has(name)

    def _story(self, name: str, zone: tzinfo | None) -> list[str]:
        now = time.time()
        process = self._supervisor.processes.get(name)
        history = self._journal.history
        changes = history.changes(names=[name], limit=STORY_CHANGES, interventions=False)
        done = history.changes(names=[name], limit=STORY_INTERVENTIONS, interventions=True)
        complete = len(changes) < STORY_CHANGES and len(done) < STORY_INTERVENTIONS
        changes = sorted(changes + done, key=lambda change: change.serial)
        runs = self._journal.history.runs([name], STORY_CHANGES)
        if process is None:
            told = _told(_gone(name, now), changes, runs, complete, now, zone)
            return ["it is not defined any more", *told[1:]]
        return _told(process, changes, runs, complete, now, zone)


def _gone(name: str, now: float) -> Process:
    """Return what stands for a process of which only the journal knows."""
    group, _, process = name.rpartition(":")
    return Process(Program(name=process, group=group, command=_UNKNOWN), now)


def _zone(offset: str) -> tzinfo | None:
    """Return the zone of a reader whose clock is that far from UTC (`+01:00`); None for ours."""
    if not offset:
        return None
    try:
        return datetime.fromisoformat(f"2000-01-01T00:00{offset}").tzinfo
    except ValueError:
        raise ProtocolError(INVALID_PARAMS, 'offset must be a time like "+01:00"') from None


def _told(
    process: Process,
    changes: list[Change],
    runs: list[RunRow],
    complete: bool,
    now: float,
    zone: tzinfo | None,
) -> list[str]:
    from supervisor_lite.explain import episodes, story  # not before somebody asks
    from supervisor_lite.explain.hints import is_failing, tell_hints

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
        complete=complete,
    )
    clock = story.local_clock(now, zone)
    lines = story.tell(known, now, clock, story.clock_offset(now, zone))
    aside = story.tell_output(process.output_trouble(), process.output_dropped(), clock)
    if is_failing(record):
        aside += tell_hints(known, _what_hinders(process.program))
    lines[1:1] = aside
    return lines


def _what_hinders(program: Program) -> Iterator[SpawnFailure | Advice]:
    """Yield what would keep a program from being started now."""
    from supervisor_lite.host.preflight import Preflight

    if program.command != _UNKNOWN:
        for _, about in Preflight(os.environ).look(program):
            yield about


# On the wire.


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
        "reason": sendable(beyond_exit_text(row.cause)),
        "maxrss": row.maxrss,
        "utime": row.utime,
        "stime": row.stime,
        "last_words": sendable(row.last_words or ""),
        "cause": sendable_data(encode(row.cause)),
    }
