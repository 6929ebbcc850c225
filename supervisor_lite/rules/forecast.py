"""What the restart policy will do next: the machine itself, run in an imagined world.

In that world nothing else happens and every start fails at once, so its clock jumps from deadline
to deadline. Nothing is computed a second time: what is told is what `lifecycle.step` does.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from supervisor_lite.model.actions import Spawn
from supervisor_lite.model.events import (
    DeadlinePassed,
    Event,
    Exited,
    LeftoversGone,
    Spawned,
    StartAsked,
)
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Leftovers, Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.restart import AutoRestart, BackoffKind
from supervisor_lite.model.states import ALIVE, QUIET, State
from supervisor_lite.rules import backoff
from supervisor_lite.rules.lifecycle import step
from supervisor_lite.rules.words import duration

_MOST_ENDS = 300
"""Failed starts that are imagined; a policy that goes on after them is told as far as that."""

_FIRST, _LAST = 16, 4
"""Moments shown of a long schedule."""

_PAUSES = 6
"""Pauses that are spelled out in words."""

_RUN = 0
"""The id of every imagined run: with it, the jitter of a pause is nothing (rules/backoff.py)."""

_PID = 1


class Moment(NamedTuple):
    """Something that will happen."""

    at: float
    """Seconds from now; with jitter, at the earliest."""
    what: str


class Forecast(NamedTuple):
    """The policy in sentences, and what follows from it if every start fails at once."""

    lines: tuple[str, ...]
    schedule: tuple[Moment, ...]


def forecast(program: Program, record: Record, now: float) -> Forecast:
    """Return what will happen to a process that is where `record` says, at `now`."""
    events, supposition = _supposed(program, record)
    world = _World(program, record, now)
    world.play(events)
    lines = (
        _on_start(program),
        *_on_failed_start(program),
        _on_exit(program),
        *_on_limit(program),
        _on_stop(program),
        supposition,
    )
    return Forecast(lines, _shortened(world.moments))


# The imagined world.


class _World:
    """Plays one process whose every start fails at once, and writes down when what happens."""

    def __init__(self, program: Program, record: Record, now: float) -> None:
        self._program = program
        self._record = record
        self._began = self._now = now
        self.moments: list[Moment] = []
        self._failure = _failure(program)
        self._last_end: tuple[Record, float] | None = None
        self._ends = 0
        self._cooled = False

    def play(self, events: tuple[Event, ...]) -> None:
        """Let these events happen now, and then all that follows from them."""
        queue = deque(events)
        while queue or self._record.deadline is not None:
            if queue:
                event = queue.popleft()
            else:
                assert self._record.deadline is not None
                self._now = max(self._now, self._record.deadline)
                event = DeadlinePassed()
            before = self._record
            self._record, actions = step(self._program, before, event, self._now)
            self._note(before)
            if any(isinstance(action, Spawn) for action in actions):
                queue += (Spawned(_RUN, _PID), DeadlinePassed(), Exited(_RUN, self._failure))
            if isinstance(event, Exited) and self._is_enough():
                return

    def _note(self, before: Record) -> None:
        record = self._record
        if record.state is State.STARTING and before.state is not State.STARTING:
            self._add(_spawn_in_words(self._program, before))
        elif record.state is State.FATAL and before.state is not State.FATAL:
            self._add(f"FATAL: {record.cause.removesuffix(f': {record.ended}')}")
        elif record.state is State.EXITED and record.deadline is None and before.pid is not None:
            self._add("EXITED, and not started again")
        limit = self._program.restart_limit
        cools = record.cooling and not before.cooling and not self._cooled
        if cools and limit is not None and limit.cooldown is not None:
            self._cooled = True  # said once: from now on every try has a pause before it
            used = f"{limit.restarts} automatic starts in {duration(limit.window)}"
            self._add(f"{used} are used up: a pause of {duration(limit.cooldown)}")

    def _add(self, what: str) -> None:
        self.moments.append(Moment(round(self._now - self._began, 6), what))

    def _is_enough(self) -> bool:
        """Is this where it was after the last failure, so that it goes on like that for ever?"""
        self._ends += 1
        here = self._relative()
        if self._last_end is not None and self._last_end[0] == here:
            self._add(f"and so on, every {duration(self._now - self._last_end[1])}, without an end")
            return True
        self._last_end = (here, self._now)
        if self._ends < _MOST_ENDS:
            return False
        self._add("and so on: farther than this is not told")
        return True

    def _relative(self) -> Record:
        """Return the record with times from now, and without what decides nothing."""

        def ago(time: float) -> float:
            return round(time - self._now, 6)

        record = self._record
        return record._replace(
            spawned=None,
            deadline=None if record.deadline is None else ago(record.deadline),
            restarts=tuple(map(ago, record.restarts)),
            restart_count=0,
            cause="",
        )


def _spawn_in_words(program: Program, before: Record) -> str:
    if before.asked:
        return "start"
    cooled = " after the pause" if before.cooling else ""
    if before.state is State.BACKOFF:
        return f"try {before.failures + 1} of {program.startretries + 1}{cooled}"
    return f"restart{cooled}"


def _failure(program: Program) -> Exit:
    """Return an end that this program does not expect."""
    code = next((code for code in range(1, 256) if code not in program.exitcodes), None)
    return Exit(code=code) if code is not None else Exit(signal="SIGKILL")


def _supposed(program: Program, record: Record) -> tuple[tuple[Event, ...], str]:
    """Return the events that the forecast begins with, and the sentence that says so."""
    gone: tuple[Event, ...] = (LeftoversGone(record.run or 0),) if record.leftovers else ()
    start: tuple[Event, ...] = (StartAsked(""),)
    if record.state in ALIVE and record.pid is not None:
        gone = (Exited(record.run or 0, _failure(program)), *gone)
    if record.state is State.STOPPING:
        if record.wanted:
            return gone, "It is being restarted. If every start failed at once:"
        text = "It is being stopped. If it were started after that and every start failed at once:"
        return (*gone, *start), text
    if record.state is State.STARTING:
        return gone, "It is being started. If that failed now, and every further start at once:"
    if record.state is State.RUNNING:
        unexpected = "If it ended unexpectedly now, and every start after that failed at once:"
        return gone, f"It is RUNNING. {unexpected}"
    waits = record.deadline is not None or record.leftovers
    if record.state in QUIET and not (waits and record.wanted):
        text = f"It is {record.state.name}. If it were started now and every start failed at once:"
        return (*gone, *start), text
    return gone, "It waits for its next start. If every start fails at once:"


def _shortened(moments: list[Moment]) -> tuple[Moment, ...]:
    hidden = len(moments) - _FIRST - _LAST
    if hidden <= 1:
        return tuple(moments)
    gap = Moment(moments[-_LAST - 1].at, f"… {hidden} more like these, until here")
    return (*moments[:_FIRST], gap, *moments[-_LAST:])


# The policy in sentences.


def _on_start(program: Program) -> str:
    if program.startsecs == 0:
        return "It is RUNNING as soon as it is spawned (startsecs = 0)."
    up = duration(program.startsecs)
    return f"It is RUNNING when it has been up for {up}; an end before that is a failed start."


def _on_failed_start(program: Program) -> tuple[str, ...]:
    """Say how often and when a failed start is tried again."""
    rule, retries = program.backoff, program.startretries
    if retries == 0:
        return ("A failed start is not tried again: it is FATAL.",)
    waits = [backoff.pause(rule, number, _RUN) for number in range(1, retries + 1)[:_PAUSES]]
    pauses = ", ".join(map(duration, waits)) + (" …" if retries > len(waits) else "")
    if rule.kind is BackoffKind.CONSTANT:
        pauses = f"{duration(waits[0])} each time"
    limits = "" if rule.max is None else f", at most {duration(rule.max)}"
    if rule.jitter:
        limits += f", each up to +{rule.jitter * 100:g} %"
    number = "once" if retries == 1 else f"up to {retries} times"
    lines = [
        f"A failed start is tried again {number}, after {pauses}"
        f" ({rule.kind.value} backoff{limits}); then it is FATAL."
    ]
    total = _total(program)
    if total is not None:
        at_least = "at least " if rule.jitter else ""
        lines.append(f"If every try fails at once, it is FATAL after {at_least}{duration(total)}.")
    return tuple(lines)


def _total(program: Program) -> float | None:
    """Return how long after its first spawn a program that never starts is given up."""
    if program.startsecs == 0:
        return None
    world = _World(program, Record(), 0.0)
    world.play((StartAsked(""),))
    last = world.moments[-1]
    return last.at if last.what.startswith("FATAL") else None


def _on_exit(program: Program) -> str:
    codes = ", ".join(map(str, program.exitcodes)) or "none"
    soon = f"at once ({backoff.MIN_INTERVAL:g} s after its last spawn at the earliest)"
    match program.autorestart:
        case AutoRestart.ALWAYS:
            return f"When it ends after it was RUNNING, it is started again {soon}."
        case AutoRestart.NEVER:
            return "When it ends after it was RUNNING, it stays EXITED (autorestart = false)."
        case AutoRestart.UNEXPECTED:
            return (
                f"When it ends after it was RUNNING with an expected exit code ({codes}), it stays"
                f" EXITED; after any other end it is started again {soon}."
            )


def _on_limit(program: Program) -> tuple[str, ...]:
    limit = program.restart_limit
    if limit is None:
        return ()
    most = f"At most {limit.restarts} automatic starts in {duration(limit.window)}"
    if limit.cooldown is None:
        return (f"{most}, then it is FATAL; starts that were asked for do not count.",)
    pause = duration(limit.cooldown)
    return (
        f"{most}, then a pause of {pause} and one try, again and again;"
        " starts that were asked for do not count.",
    )


def _on_stop(program: Program) -> str:
    whom = "its process group" if program.stopasgroup else "its main process"
    killed = " to the group" if program.killasgroup else ""
    wait = duration(program.stopwaitsecs)
    text = f"A stop sends {program.stopsignal} to {whom}, KILL{killed} after {wait}."
    if program.leftovers is Leftovers.KEEP:
        return f"{text} Whatever else of it is alive after its end is left alone."
    return (
        f"{text} Whatever else of it is alive after its end gets {program.stopsignal},"
        f" and KILL after {wait}; the next start waits for that."
    )
