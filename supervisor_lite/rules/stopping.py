"""How a run is ended: told to, killed when its time is over, and what comes after it.

Part of lifecycle.py, which asks it; like that, it touches nothing.
"""

from __future__ import annotations

from supervisor_lite.model.actions import Action, Signal, SignalLeftovers
from supervisor_lite.model.cause import Note, NoteKind
from supervisor_lite.model.events import Faulted, RestartAsked, StopAsked
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import State
from supervisor_lite.rules import pacing

KILL_AGAIN = 1.0
"""Seconds, at least, until SIGKILL is sent again to what did not die of it."""

LAST_GRACE = 1.0
"""Seconds that leftovers have at least, if the main process has used up `stopwaitsecs`."""


def end(
    program: Program, record: Record, event: StopAsked | RestartAsked | Faulted, now: float
) -> tuple[Record, tuple[Action, ...]]:
    """Ask the main process to end; it is killed at the deadline."""
    stopping = record._replace(
        state=State.STOPPING,
        deadline=now + program.stopwaitsecs,
        told=now if program.stopasgroup else None,
        by="" if isinstance(event, Faulted) else event.by,
        cause=event.cause,
    )
    return stopping, (Signal(program.stopsignal, program.stopasgroup),)


def end_of_patience(program: Program, record: Record, now: float) -> float:
    """Return when leftovers are killed: a stop takes `stopwaitsecs` and one second at most."""
    if record.kill_now:
        return now
    if record.state is not State.STOPPING:
        return now + program.stopwaitsecs
    least = now + min(program.stopwaitsecs, LAST_GRACE)
    if record.killed or record.deadline is None:
        return least  # all of it went to the main process
    return max(record.deadline, least)


def kill(program: Program, record: Record, now: float) -> tuple[Record, tuple[Action, ...]]:
    """Kill the main process, or what it has left; and again when the next deadline comes."""
    again = now + max(program.stopwaitsecs, KILL_AGAIN)
    if record.leftovers:
        return record._replace(deadline=again), (SignalLeftovers("KILL"),)
    killing = record._replace(deadline=again, killed=True)
    if not record.killed:
        waited = None if record.kill_now else program.stopwaitsecs
        killing = killing._replace(notes=(*record.notes, Note(NoteKind.KILLED, waited)))
    return killing, (Signal("KILL", program.killasgroup),)


def stopped(record: Record, now: float) -> Record:
    """Nothing is left of it; if it is still wanted, this was a restart."""
    again = pacing.soonest(record, now) if record.wanted else None
    return record._replace(state=State.STOPPED, deadline=again, asked=record.wanted)
