"""A process as the control socket shows it (docs/protocol.md)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from supervisor_lite.explain.cause import cause_text
from supervisor_lite.explain.output import trouble_text
from supervisor_lite.explain.reason import reason
from supervisor_lite.model.listener_health import ListenerHealth
from supervisor_lite.model.output import OutputTrouble
from supervisor_lite.model.states import State
from supervisor_lite.store.codec import encode

if TYPE_CHECKING:
    from supervisor_lite.core.process import Process

_dump = json.JSONEncoder(separators=(",", ":")).encode


def render(process: Process) -> bytes:
    """Return the JSON object of `status` for a process."""
    return _dump(_fields(process)).encode()


def _fields(process: Process) -> dict[str, Any]:
    program, record = process.program, process.record
    trouble, lost = process.output_trouble(), process.output_dropped()
    listener = process.listening()
    return {
        "name": program.name,
        "group": process.group,
        "fullname": process.name,
        "program": program.program or program.name,
        "state": record.state.name,
        "statecode": int(record.state),
        "wanted": record.wanted,
        "pid": record.pid,
        "run": record.run,
        "up_since": record.spawned if record.pid is not None else None,
        "started": rfc3339(process.started),
        "since": rfc3339(process.since),
        "exitcode": record.exit.code if record.exit else None,
        "signal": record.exit.signal if record.exit else None,
        "failures": record.failures,
        "restarts": record.restart_count,
        "next_try": rfc3339(_next_try(process)),
        "reason": _why(process, trouble, listener),
        "autostart": program.autostart,
        "priority": program.priority,
        "stdout_logfile": program.stdout.path,
        "stderr_logfile": None if program.redirect_stderr else program.stderr.path,
        "stale": process.definition.is_outdated or process.definition.next is not None,
        "cause": encode(record.cause),
        "output_trouble": _trouble(trouble),
        "output_dropped": {
            "bytes": lost.bytes,
            "lines": lost.lines,
            "last": rfc3339(lost.last or None),
        },
        "output_lost": process.output_lost,
        "listener": encode(listener),
    }


def _why(process: Process, trouble: OutputTrouble | None, listener: ListenerHealth | None) -> str:
    """Return why it is not up, or not as it should be."""
    words = [reason(process.program, process.record, output_lost=process.output_lost)]
    words += [trouble_text(trouble)] if trouble is not None else []
    words += [cause_text(listener.trouble)] if listener is not None else []
    return "; ".join(filter(None, words))


def _trouble(trouble: OutputTrouble | None) -> dict[str, Any] | None:
    if trouble is None:
        return None
    return {**trouble._asdict(), "since": rfc3339(trouble.since)}


def _next_try(process: Process) -> float | None:
    """Return the wall-clock time of the next automatic start, None if there is none."""
    record = process.record
    if record.state not in (State.BACKOFF, State.EXITED, State.STOPPED):
        return None
    due = record.due if record.leftovers else record.deadline
    if due is None or record.spawned is None or process.started is None:
        return None
    # The last spawn is known by both clocks.
    return process.started + due - record.spawned


def rfc3339(seconds: float | None) -> str | None:
    """Return a wall-clock time as text in UTC with milliseconds."""
    if seconds is None:
        return None
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
