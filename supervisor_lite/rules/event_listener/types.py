"""The names of the events for listeners (Supervisor's), and which name stands for which others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_BELOW: Mapping[str, tuple[str, ...]] = {
    "PROCESS_STATE": (
        "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "STOPPED", "FATAL", "UNKNOWN",
    ),
    "PROCESS_COMMUNICATION": ("STDOUT", "STDERR"),
    "PROCESS_LOG": ("STDOUT", "STDERR"),
    "REMOTE_COMMUNICATION": (),
    "SUPERVISOR_STATE_CHANGE": ("RUNNING", "STOPPING"),
    "TICK": ("5", "60", "3600"),
    "PROCESS_GROUP": ("ADDED", "REMOVED"),
}  # fmt: skip

TICKS: Mapping[str, int] = {f"TICK_{period}": int(period) for period in _BELOW["TICK"]}
"""The events that come by the clock, and every how many seconds."""


def _meanings() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for kind, endings in _BELOW.items():
        names = [f"{kind}_{ending}" for ending in endings]
        found.update((name, frozenset((name,))) for name in names)
        found[kind] = frozenset(names or (kind,))
    found["EVENT"] = frozenset().union(*found.values())
    return found


MEANINGS: Mapping[str, frozenset[str]] = _meanings()
"""What may stand in `events`, and the events that it stands for."""


def expand(names: Iterable[str]) -> frozenset[str]:
    """Return the names of all events that these names stand for."""
    return frozenset().union(*(MEANINGS[name] for name in names))


def timeslice(name: str, now: float) -> int:
    """Return when the period of a tick began that `now` is in; both in seconds since the epoch."""
    period = TICKS[name]
    return int(now // period) * period
