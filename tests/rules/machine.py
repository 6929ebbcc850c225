"""The machine under test: the real one, or a copy with a planted bug."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.events import (
    Event,
    Faulted,
    KillAsked,
    RestartAsked,
    StartAsked,
    StopAnnounced,
    StopAsked,
)
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Leftovers, Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.restart import AutoRestart, Backoff, BackoffKind, RestartLimit
from supervisor_lite.rules import lifecycle
from supervisor_lite.rules.lifecycle import Step

START = StartAsked("ann")
STOP = StopAsked("ann")
RESTART = RestartAsked("ann")
KILL = KillAsked()
ANNOUNCE = StopAnnounced("ann")
LEAK = Faulted(Cause(CauseKind.MEMORY_RESTART, used=2 << 20, limit=1 << 20))

ALWAYS, NEVER, UNEXPECTED = AutoRestart.ALWAYS, AutoRestart.NEVER, AutoRestart.UNEXPECTED

DONE = Exit(code=0)
FAILED = Exit(code=1)
SEGFAULT = Exit(signal="SIGSEGV", core=True)
UNKNOWN = Exit()


@dataclass(frozen=True, slots=True)
class Machine:
    """What can be walked, simulated and compared."""

    step: Callable[[Program, Record, Event, float], Step] = lifecycle.step
    start: Record = field(default_factory=Record)


REAL = Machine()


def program(
    *,
    autorestart: AutoRestart = UNEXPECTED,
    exitcodes: tuple[int, ...] = (0,),
    startsecs: float = 1.0,
    startretries: int = 3,
    stopsignal: str = "TERM",
    stopwaitsecs: float = 10.0,
    stopasgroup: bool = False,
    killasgroup: bool = False,
    leftovers: Leftovers = Leftovers.KILL,
    backoff: Backoff | None = None,
    restart_limit: RestartLimit | None = None,
) -> Program:
    """Return a program of which only the policy matters."""
    return Program(
        name="web",
        command=("web",),
        autorestart=autorestart,
        exitcodes=exitcodes,
        startsecs=startsecs,
        startretries=startretries,
        stopsignal=stopsignal,
        stopwaitsecs=stopwaitsecs,
        stopasgroup=stopasgroup,
        killasgroup=killasgroup,
        leftovers=leftovers,
        backoff=backoff or Backoff(),
        restart_limit=restart_limit,
    )


def constant(seconds: float) -> Backoff:
    """Return a pause that does not grow."""
    return Backoff(kind=BackoffKind.CONSTANT, seconds=seconds)


def exponential(*, seconds: float = 1.0, limit: float | None = None, jitter: float = 0) -> Backoff:
    """Return a pause that doubles."""
    return Backoff(kind=BackoffKind.EXPONENTIAL, seconds=seconds, max=limit, jitter=jitter)


def at_most(count: int, window: float, cooldown: float | None = None) -> RestartLimit:
    """Return a limit of automatic restarts."""
    return RestartLimit(restarts=count, window=window, cooldown=cooldown)
