"""Why a process is not up, in words that an operator can use."""

from __future__ import annotations

from typing import assert_never

from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import State
from supervisor_lite.rules import backoff
from supervisor_lite.text import duration


def reason(program: Program, record: Record) -> str:
    """Return why the process is not up; empty when there is nothing to say."""
    tries = program.startretries + 1
    match record.state:
        case State.RUNNING:
            return ""
        case State.STARTING:
            return f"try {record.failures + 1} of {tries}" if record.failures else ""
        case State.BACKOFF:
            if record.leftovers:
                return f"ending what is left of it: {record.ended}"
            if record.cooling:
                return _cooling(program, record)
            if record.asked:
                return f"starting: {record.ended}"
            wait = backoff.pause(program.backoff, record.failures, record.run or 0)
            number = record.failures + 1
            return f"backoff {duration(wait)}, try {number} of {tries}: {record.ended}"
        case State.EXITED:
            if record.leftovers:
                return f"{record.cause}; ending what is left of it"
            return _cooling(program, record) if record.cooling else _with_note(record.cause, record)
        case State.STOPPING:
            if record.pid is None:
                return "waiting for what is left of it to end"
            if record.killed:
                return "KILL sent"
            return f"{program.stopsignal} sent, KILL after {duration(program.stopwaitsecs)}"
        case State.STOPPED:
            if record.run is None:
                return "Not started"
            return _with_note(
                f"{record.cause} by {record.by}" if record.by else record.cause, record
            )
        case State.FATAL:
            return _with_note(record.cause, record)
        case _:
            assert_never(record.state)


def _with_note(text: str, record: Record) -> str:
    return f"{text}; {record.note}" if record.note else text


def _cooling(program: Program, record: Record) -> str:
    limit = program.restart_limit
    pause = duration(limit.cooldown or 0.0) if limit else ""
    return f"too many restarts, one more try after {pause}: {record.ended}"
