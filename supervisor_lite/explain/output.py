"""That output of a program cannot be written, and how much of it is lost: in words."""

from __future__ import annotations

from datetime import UTC, datetime

from supervisor_lite.model.output import OutputLoss, OutputTrouble
from supervisor_lite.text import plural


def trouble_text(trouble: OutputTrouble) -> str:
    """Return what is wrong with a stream at present."""
    fate = "is dropped while its pipe is full" if trouble.dropping else "waits in its pipe"
    return f'cannot write {trouble.stream} to "{trouble.target}": {trouble.error}; output {fate}'


def amount_text(loss: OutputLoss) -> str:
    """Return how much was lost: `4096 bytes (12 lines)`."""
    return f"{plural(loss.bytes, 'byte', 'bytes')} ({plural(loss.lines, 'line', 'lines')})"


def mark_text(loss: OutputLoss, reason: str) -> str:
    """Return the line that stands in a log where something is missing."""
    span = f"from {_stamp(loss.first)} to {_stamp(loss.last)}"
    return f"[supervisor-lite: {amount_text(loss)} of output lost here, {span}: {reason}]"


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")[:19] + "Z"
