"""Why a process is not up, in words that an operator can use."""

from __future__ import annotations

from supervisor_lite.explain.cause import cause_text, last_end_text, notes_text
from supervisor_lite.explain.tries import of_all
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import State
from supervisor_lite.rules import backoff
from supervisor_lite.text import duration


def reason(program: Program, record: Record, *, output_lost: bool = False) -> str:
    """Return why the process is not up, or not as it should be; empty if there is nothing to say.

    `output_lost`: what the live run writes cannot be had.
    """
    match record.state:
        case State.STARTING | State.RUNNING if not record.wanted:
            return "to be stopped when its turn comes"
        case State.RUNNING:
            return "its output is lost until it is restarted" if output_lost else ""
        case State.STARTING:
            return _try(program, record) if record.failures else ""
        case State.BACKOFF:
            return f"{_backoff(program, record)}: {_last_end(record)}"
        case State.STOPPING:
            return _stopping(program, record)
        case State.EXITED if record.leftovers:
            return f"{cause_text(record.cause)}; ending what is left of it"
        case State.EXITED if record.cooling:
            return f"{_cooling(program)}: {_last_end(record)}"
        case State.STOPPED if record.run is None:
            return "Not started"
        case State.STOPPED:
            return _with_notes(asked_text(record), record)
        case State.EXITED | State.FATAL:
            return _with_notes(cause_text(record.cause), record)


def asked_text(record: Record) -> str:
    """Return the cause of a state with who asked for it: `stop asked by uid 0 (root)`."""
    cause = cause_text(record.cause)
    return f"{cause} by {record.by}" if record.by else cause


def _backoff(program: Program, record: Record) -> str:
    """Return what it does between two tries."""
    if record.leftovers:
        return "ending what is left of it"
    if record.cooling:
        return _cooling(program)
    if record.asked:
        return "starting"
    pause = backoff.pause(program.backoff, record.failures, record.run or 0)
    return f"backoff {duration(pause)}, {_try(program, record)}"


def _stopping(program: Program, record: Record) -> str:
    if record.pid is None:
        return "waiting for what is left of it to end"
    if record.killed:
        return "KILL sent"
    return f"{program.stopsignal} sent, KILL after {duration(program.stopwaitsecs)}"


def _try(program: Program, record: Record) -> str:
    return f"try {record.failures + 1}{of_all(program)}"


def _cooling(program: Program) -> str:
    limit = program.restart_limit
    pause = duration(limit.cooldown or 0.0) if limit else ""
    return f"too many restarts, one more try after {pause}"


def _last_end(record: Record) -> str:
    return last_end_text(record.error, record.exit)


def _with_notes(text: str, record: Record) -> str:
    notes = notes_text(record.notes)
    return f"{text}; {notes}" if notes else text
