"""Causes, notes and ends of runs in words.

Nothing reads these words again: whoever decides, decides by the data (model/cause.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import assert_never

from supervisor_lite.model.cause import (
    LISTENER_TROUBLE,
    Cause,
    CauseKind,
    Note,
    NoteKind,
    SpawnFailure,
)
from supervisor_lite.model.constants import MIB
from supervisor_lite.model.exit import Exit
from supervisor_lite.text import exact_size, plural

_FIXED = {
    CauseKind.START_ASKED: "start asked",
    CauseKind.STOP_ASKED: "stop asked",
    CauseKind.RESTART_ASKED: "restart asked",
    CauseKind.ADDED: "added",
    CauseKind.ADDED_BY_UPDATE: "added by update",
    CauseKind.CHANGED_BY_UPDATE: "changed by update",
    CauseKind.AUTOSTART: "autostart",
    CauseKind.RESUMED: "wanted before a stop of everything that was cut short",
    CauseKind.NO_LONGER_DEFINED: "no longer defined",
    CauseKind.STATE_LOST: "its state was lost with the daemon",
    CauseKind.FOUND_ALIVE: "found alive",
    CauseKind.MACHINE_RESTARTED: "the machine was restarted",
    CauseKind.NEVER_SPAWNED: "never spawned: the daemon died",
    CauseKind.WITHDRAWN: "never spawned",
    CauseKind.INPUT_CLOSED: "does not read its input; it gets no more events",
    CauseKind.LOG_CLEARED: "log cleared",
    CauseKind.REMOVED: "taken out of use",
}
"""Kinds without fields."""


def cause_text(cause: Cause | None) -> str:
    """Return a cause in words; empty if there is none."""
    if cause is None:
        return ""
    fixed = _FIXED.get(cause.kind)
    if fixed is not None:
        return fixed
    match cause.kind:
        case CauseKind.UP:
            return f"up for {cause.seconds:g} s"
        case CauseKind.EXITED:
            if cause.expected is None:
                return ended_text(cause)
            return f"{ended_text(cause)} ({'expected' if cause.expected else 'not expected'})"
        case CauseKind.EXITED_TOO_SOON | CauseKind.SPAWN_FAILED:
            return ended_text(cause)
        case CauseKind.RETRY:
            return f"try {cause.number} of {cause.limit}"
        case CauseKind.RESTARTED:
            return f"restart after {ended_text(cause)}"
        case CauseKind.START_RETRIES_SPENT | CauseKind.RESTART_LIMIT_REACHED:
            return f"gave up {given_up_text(cause)}: {ended_text(cause)}"
        case CauseKind.MEMORY_RESTART:
            used, limit = _rounded_up(cause.used or 0), _rounded_up(cause.limit or 0)
            return f"memory {used} over memory_restart {limit}"
        case CauseKind.SIGNAL_SENT:
            return f"{cause.signal} sent"
        case CauseKind.INPUT_SENT:
            return f"{plural(cause.used or 0, 'byte', 'bytes')} of input sent"
        case CauseKind.MAIN_REPLACED:
            return f"main process replaced: {cause.number} by {cause.pid}"
        case CauseKind.TAKEN_OVER:
            return f"taken over {daemon_text(cause)}"
        case CauseKind.FOUND_ENDED:
            return f"found ended {daemon_text(cause)}"
        case kind if kind in LISTENER_TROUBLE:
            return _listener_text(cause)
        case _:
            return cause.text


def _listener_text(cause: Cause) -> str:
    """Return what is wrong with an event listener."""
    match cause.kind:
        case CauseKind.PROTOCOL_BROKEN:
            what = f" ({cause.text})" if cause.text else ""
            deaf = "it gets no more events until it is restarted"
            return f"said what no event listener may say{what}; {deaf}"
        case CauseKind.EVENTS_REJECTED:
            return f"rejects what it is sent: {plural(cause.number or 0, 'time', 'times')} in a row"
        case _:
            count = plural(cause.number or 0, "event", "events")
            return f"too slow for its events: {count} dropped"


def given_up_text(cause: Cause) -> str:
    """Return after what a process was given up: `after 4 tries`."""
    if cause.kind is CauseKind.RESTART_LIMIT_REACHED:
        return f"after {cause.number} restarts in {cause.seconds:g} s"
    return f"after {plural(cause.number or 0, 'try', 'tries')}"


def daemon_text(cause: Cause) -> str:
    """Return which daemon took a process over or found it ended."""
    if cause.version:
        return f"by its new version (pid {cause.pid}, {cause.version})"
    return f"by a new daemon (pid {cause.pid}): the one before had ended"


def ended_text(cause: Cause) -> str:
    """Return how the run ended that a cause tells of, or why there was none."""
    return last_end_text(cause.error, cause.exit)


def last_end_text(error: SpawnFailure | None, exit_status: Exit | None) -> str:
    """Return how the last try to run something ended; empty if there was none."""
    if error is not None:
        return error.text
    return exit_text(exit_status) if exit_status is not None else ""


def end_text(cause: Cause | None) -> str:
    """Return the end of a run as a story tells it: `ended with exit 1`, `ended by SIGSEGV`."""
    exit_status = cause.exit if cause is not None else None
    if exit_status is None:
        return cause_text(cause)
    if exit_status.code is not None:
        return f"ended with {exit_text(exit_status)}"
    return exit_text(exit_status, "ended by")


def exit_text(exit_status: Exit, by: str = "killed by") -> str:
    """Return how a run ended; `by` goes before the name of a signal."""
    if exit_status.code is not None:
        return f"exit {exit_status.code}"
    text = "ended with an unknown exit code"
    if exit_status.signal is not None:
        text = f"{by} {exit_status.signal}" + (" (core dumped)" if exit_status.core else "")
    if exit_status.sent_by:
        return f"{text}, sent by {exit_status.sent_by}"
    return f"{text}: {_memory_text(exit_status)}" if exit_status.out_of_memory else text


def beyond_exit_text(cause: Cause | None) -> str:
    """Return what the cause of the end of a run tells besides an exit code or a signal."""
    exit_status = cause.exit if cause is not None else None
    if exit_status is None or (exit_status.code is None and exit_status.signal is None):
        return cause_text(cause)
    if exit_status.out_of_memory:
        return _memory_text(exit_status)
    core = "core dumped" if exit_status.core else ""
    sent = f"sent by {exit_status.sent_by}" if exit_status.sent_by else ""
    return ", ".join(filter(None, (core, sent)))


def memory_text(limit: int | None) -> str:
    """Return for want of what the kernel killed somebody: of all memory, or of a `memory_max`."""
    return "out of memory" + ("" if limit is None else f" (memory_max {exact_size(limit)})")


def _memory_text(exit_status: Exit) -> str:
    return f"{'' if exit_status.signal else 'probably '}{memory_text(exit_status.memory_max)}"


def notes_text(notes: Iterable[Note]) -> str:
    """Return what else had to be done: `KILL after 10 s; 1 leftover killed: 4411 node`."""
    return "; ".join(filter(None, map(note_text, notes)))


def note_text(note: Note) -> str:
    """Return one note in words."""
    names = ", ".join(f"{each.pid} {each.name}" for each in note.processes)
    count = len(note.processes)
    match note.kind:
        case NoteKind.KILLED:
            return "KILL at once" if note.seconds is None else f"KILL after {note.seconds:g} s"
        case NoteKind.LEFTOVERS_ENDED:
            return f"{plural(count, 'leftover', 'leftovers')} ended: {names}"
        case NoteKind.LEFTOVERS_KILLED:
            return f"{plural(count, 'leftover', 'leftovers')} killed: {names}"
        case NoteKind.LEFTOVERS_KEPT:
            return f"{count} left running: {names}"
        case NoteKind.OUTPUT_LOST:
            return f"output lost until it is restarted: {note.text}"
        case NoteKind.RECORDED:
            return note.text
        case _:
            assert_never(note.kind)


def _rounded_up(size: int) -> str:
    # Rounded up, or what is just over the limit would look like the limit.
    number = math.ceil(size / MIB * 10) / 10
    return f"{number:.1f} MB".replace(".0 ", " ")
