"""What the restart policy will do next: the machine itself, run in an imagined world.

In that world nothing else happens and every start fails at once, so its clock jumps from deadline
to deadline. Nothing is computed a second time: what is told is what `lifecycle.step` does.
"""

from __future__ import annotations

from typing import NamedTuple

from supervisor_lite.explain.imagined import ImaginedWorld, Moment, failure
from supervisor_lite.explain.policy import (
    on_exit,
    on_failed_start,
    on_limit,
    on_start,
    on_stop,
)
from supervisor_lite.model.events import (
    Event,
    Exited,
    LeftoversGone,
    StartAsked,
)
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import ALIVE, QUIET, State

_FIRST, _LAST = 16, 4
"""Moments shown of a long schedule."""


class Forecast(NamedTuple):
    """The policy in sentences, and what follows from it if every start fails at once."""

    lines: tuple[str, ...]
    schedule: tuple[Moment, ...]


def forecast(program: Program, record: Record, now: float) -> Forecast:
    """Return what will happen to a process that is where `record` says, at `now`."""
    events, supposition = _supposed(program, record)
    world = ImaginedWorld(program, record, now)
    world.play(events)
    lines = (
        on_start(program),
        *on_failed_start(program),
        on_exit(program),
        *on_limit(program),
        on_stop(program),
        supposition,
    )
    return Forecast(lines, _shortened(world.moments))


def _supposed(program: Program, record: Record) -> tuple[tuple[Event, ...], str]:
    """Return the events that the forecast begins with, and the sentence that says so."""
    gone: tuple[Event, ...] = (LeftoversGone(record.run or 0),) if record.leftovers else ()
    start: tuple[Event, ...] = (StartAsked(""),)
    if record.state in ALIVE and record.pid is not None:
        gone = (Exited(record.run or 0, failure(program)), *gone)
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
