"""What is really so, kept apart from what the record believes.

The walk and the random histories keep a Truth beside the record: is there a live process, was it
told to end, what did the operator ask for last, how often did a start fail. It is computed from
the events and the actions only, never from the record, so a record that lies is found out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from supervisor_lite.model.actions import Action, Signal, Spawn
from supervisor_lite.model.events import (
    DeadlinePassed,
    Event,
    Exited,
    Faulted,
    KillAsked,
    LeftoversGone,
    RestartAsked,
    Spawned,
    SpawnFailed,
    StartAsked,
    StopAnnounced,
    StopAsked,
)
from supervisor_lite.model.program import Program
from supervisor_lite.model.restart import AutoRestart

TICK = 1e-6
"""Seconds within which two times are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The world of one process."""

    run: int | None = None
    alive: bool = False
    """The main process of `run` lives."""
    leftovers: bool = False
    """The main process is gone, some of its descendants are not."""
    ending: bool = False
    """The live process was asked to end."""
    killed: bool = False
    """The live process got SIGKILL."""
    kill_now: bool = False
    """Whatever is being ended is to be killed at once."""
    told: float | None = None
    """When the live process was told to end."""
    group_told: bool = False
    """Its whole process group was."""
    wish: bool = False
    """Was the last request a start (or a restart) rather than a stop?"""
    asked: bool = False
    """A start was asked for and has not been carried out yet."""
    by: str = ""
    """Who asked last for something that had an effect."""
    spawned: float = -1000.0
    failures: int = 0
    """Failed starts in a row."""
    automatic: tuple[float, ...] = ()
    """When spawns happened that nobody asked for; the one after a cool-down uses up the limit."""
    cooling: bool = False
    """The limit of automatic restarts was used up at the last end; one try may follow."""
    over: bool = False
    """The last end was the last of them: no automatic start may follow."""


def again(program: Program, event: Exited) -> bool:
    """Is a process that ended like this, after it was up, to be respawned?"""
    if program.autorestart is AutoRestart.UNEXPECTED:
        return event.exit.code not in program.exitcodes
    return program.autorestart is AutoRestart.ALWAYS


def used_up(program: Program, truth: Truth, now: float) -> bool:
    """Have all automatic restarts of the window been used?"""
    limit = program.restart_limit
    if limit is None:
        return False
    return sum(now - time < limit.window for time in truth.automatic) >= limit.restarts


def is_failed_start(program: Program, truth: Truth, now: float) -> bool:
    """Did the live process end before it was up for `startsecs`?"""
    return now - truth.spawned < program.startsecs - TICK


def before_its_turn(program: Program, truth: Truth, now: float) -> bool:
    """Is it a failed start of what is to be stopped anyway, when its turn comes?"""
    return not truth.wish and not truth.ending and is_failed_start(program, truth, now)


def gives_up(program: Program, truth: Truth, failures: int, now: float) -> bool:
    """Is a start that failed for the `failures`-th time in a row the last one?"""
    limit = program.restart_limit
    if failures > program.startretries:
        return True
    return used_up(program, truth, now) and limit is not None and limit.cooldown is None


def after(
    program: Program, truth: Truth, event: Event, actions: tuple[Action, ...], now: float
) -> Truth:
    """Return what is so when the event has happened and the actions are carried out."""
    truth = _after_event(program, truth, event, now)
    for action in actions:
        match action:
            case Spawn():
                truth = _after_spawn(program, truth, now)
            case Signal("KILL"):
                truth = replace(truth, killed=True)
            case Signal(_, group):
                truth = replace(truth, told=now, group_told=group)
    return truth


def _after_event(program: Program, truth: Truth, event: Event, now: float) -> Truth:
    match event:
        case StartAsked():
            if truth.alive and not truth.ending:
                return truth if truth.wish else replace(truth, wish=True, by=event.by)
            return _wished(truth, event.by)
        case RestartAsked():
            return replace(_wished(truth, event.by), ending=truth.alive)
        case StopAsked(by) | StopAnnounced(by):
            stopped = replace(truth, wish=False, asked=False, cooling=False, by=by)
            at_once = isinstance(event, StopAsked)
            return replace(stopped, ending=truth.alive if at_once else truth.ending)
        case Faulted() if truth.alive and truth.wish and not truth.ending:
            return replace(truth, ending=True, asked=True, by="")
        case KillAsked():
            return replace(truth, kill_now=True) if truth.ending or truth.leftovers else truth
        case Spawned(run):
            return replace(
                truth, run=run, alive=True, spawned=now, killed=False, kill_now=False, ending=False,
                told=None, group_told=False,
            )  # fmt: skip
        case SpawnFailed(run):
            failures = truth.failures + 1
            failed = replace(truth, run=run, spawned=now, killed=False, kill_now=False)
            return _judged(program, failed, failures, now)
        case Exited() if truth.alive and event.run == truth.run:
            return _after_exit(program, truth, event, now)
        case LeftoversGone(run) if run == truth.run:
            return replace(truth, leftovers=False)
        case DeadlinePassed():
            up = truth.alive and not truth.ending and not is_failed_start(program, truth, now)
            return replace(truth, failures=0) if up and truth.failures else truth
        case _:
            return truth


def _wished(truth: Truth, by: str) -> Truth:
    return replace(
        truth, wish=True, asked=True, by=by, failures=0, automatic=(), over=False, cooling=False,
    )  # fmt: skip


def _after_exit(program: Program, truth: Truth, event: Exited, now: float) -> Truth:
    ended = replace(
        truth, alive=False, ending=False, leftovers=event.leftovers, told=None, group_told=False
    )
    if truth.ending or before_its_turn(program, truth, now):
        return ended
    if is_failed_start(program, truth, now):
        return _judged(program, ended, truth.failures + 1, now)
    after = _judged(program, ended, 0, now)
    respawned = truth.wish and again(program, event)
    return after if respawned else replace(after, over=True, cooling=False)


def _judged(program: Program, truth: Truth, failures: int, now: float) -> Truth:
    over = gives_up(program, truth, failures, now)
    cooling = not over and used_up(program, truth, now)
    return replace(truth, failures=failures, over=over, cooling=cooling)


def _after_spawn(program: Program, truth: Truth, now: float) -> Truth:
    limit = program.restart_limit
    spawned = replace(truth, asked=False, cooling=False)
    if truth.asked or limit is None:
        return spawned
    if truth.cooling:
        return replace(spawned, automatic=(now,) * limit.restarts)
    kept = tuple(time for time in truth.automatic if now - time < limit.window)
    return replace(spawned, automatic=(*kept, now))
