"""How long until the next try, and when to give up."""

from __future__ import annotations

from supervisor_lite.model.program import Program
from supervisor_lite.model.restart import Backoff, BackoffKind, RestartLimit

MIN_INTERVAL = 0.1
"""Seconds between two spawns of one process, at least: a respawn loop is never tight."""

_GOLDEN = 0.6180339887498949


def pause(backoff: Backoff, failures: int, run: int) -> float:
    """Return the seconds between the `failures`-th failed start in a row and the next try.

    The jitter comes from the run id by the golden-ratio sequence: no randomness is needed to
    spread processes that failed together, and what is announced is what happens. Jitter comes on
    top of a pause that leaves room for it below `max`, so that it spreads the longest ones too.
    """
    match backoff.kind:
        case BackoffKind.LINEAR:
            seconds = backoff.seconds * failures
        case BackoffKind.EXPONENTIAL:
            seconds = backoff.seconds * 2.0 ** min(failures - 1, 60)
        case BackoffKind.CONSTANT:
            seconds = backoff.seconds
    if backoff.max is not None:
        seconds = min(seconds, backoff.max / (1.0 + backoff.jitter))
    return seconds * (1.0 + backoff.jitter * (run * _GOLDEN % 1.0))


def too_many_failures(program: Program, failures: int) -> bool:
    """Is the process to go FATAL after this many failed starts in a row?"""
    return failures > program.startretries


def recent(limit: RestartLimit, restarts: tuple[float, ...], now: float) -> tuple[float, ...]:
    """Return the automatic restarts that still count at `now`."""
    return tuple(time for time in restarts if now - time < limit.window)


def budget_spent(limit: RestartLimit | None, restarts: tuple[float, ...], now: float) -> bool:
    """Have all automatic restarts of the window been used?"""
    return limit is not None and len(recent(limit, restarts, now)) >= limit.restarts
