"""The state machine of one process: what happened, and what to do about it.

Rule 1: everything that decides about a process is decided in this file; when the next try is due,
and whether there is one, it asks pacing.py, and how a run is ended, stopping.py.
Rule 2: they touch nothing: no clock, no signals, no files. `now` is an argument (monotonic
seconds).
Rule 3: a record has one deadline, replaced at each transition; waking up too early is harmless.

Steps are small: a transition that must be published on its way to another one (EXITED before the
respawn, the last BACKOFF before FATAL, RUNNING when `startsecs = 0`) sets a deadline that has
passed already, and the caller feeds `DeadlinePassed` until no deadline is due.
"""

from __future__ import annotations

from typing import TypeAlias, assert_never

from supervisor_lite.model.actions import Action, SignalLeftovers, Spawn
from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.events import (
    DeadlinePassed,
    Event,
    Exited,
    Faulted,
    KillAsked,
    LeftoversGone,
    MainReplaced,
    RestartAsked,
    Spawned,
    SpawnFailed,
    StartAsked,
    StopAnnounced,
    StopAsked,
)
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.restart import AutoRestart
from supervisor_lite.model.states import NOTHING_RUNS, State
from supervisor_lite.rules import pacing, stopping

Step: TypeAlias = tuple[Record, tuple[Action, ...]]


def step(program: Program, record: Record, event: Event, now: float) -> Step:
    """Return the next record and the actions to carry out, in order."""
    match event:
        case StartAsked():
            return _on_start(record, event, now)
        case StopAsked() | StopAnnounced():
            return _on_stop(program, record, event, now)
        case RestartAsked():
            return _on_restart(program, record, event, now)
        case Faulted():
            if record.state not in (State.STARTING, State.RUNNING) or not record.wanted:
                return record, ()
            return stopping.end(program, record, event, now)
        case KillAsked():
            if record.leftovers or record.state is State.STOPPING:
                return record._replace(deadline=now, kill_now=True), ()
            return record, ()
        case Spawned(run, pid):
            up_at = now + program.startsecs
            up = record._replace(pid=pid, run=run, spawned=now, deadline=up_at)
            return _new(up)._replace(error=None), ()
        case SpawnFailed(run, error):
            failed = record._replace(run=run, spawned=now, error=error)
            return _on_failed_start(program, _new(failed), now), ()
        case Exited():
            return _on_exit(program, record, event, now)
        case MainReplaced(run, pid):
            if run != record.run or record.pid is None:
                return record, ()
            return record._replace(pid=pid), ()
        case LeftoversGone():
            return _on_leftovers_gone(record, event, now)
        case DeadlinePassed():
            if record.deadline is None or now < record.deadline:
                return record, ()
            return _on_deadline(program, record, now)
        case _:
            assert_never(event)


def _on_start(record: Record, event: StartAsked | RestartAsked, now: float) -> Step:
    """Wish it up; the spawn itself comes with the deadline, which is usually now."""
    wished = _forgiven(record)._replace(wanted=True, by=event.by, cause=event.cause)
    match record.state:
        case State.STARTING | State.RUNNING if record.wanted:
            return record, ()
        case State.STARTING | State.RUNNING:  # the stop that was announced is withdrawn
            return record._replace(wanted=True, by=event.by, cause=event.cause), ()
        case State.STOPPING:
            return wished, ()
        case State.STOPPED | State.BACKOFF | State.EXITED | State.FATAL:
            return _schedule(wished._replace(asked=True), pacing.soonest(record, now)), ()
        case _:
            assert_never(record.state)


def _on_stop(
    program: Program, record: Record, event: StopAsked | StopAnnounced, now: float
) -> Step:
    """Wish it down. What is up goes on until its turn comes, if the stop is only announced."""
    unwished = record._replace(wanted=False, asked=False, cooling=False)
    match record.state:
        case State.STARTING | State.RUNNING:
            if isinstance(event, StopAsked):
                return stopping.end(program, unwished, event, now)
            return unwished._replace(by=event.by, cause=event.cause), ()
        case State.STOPPING:
            return unwished._replace(by=event.by, cause=event.cause), ()
        case State.STOPPED | State.BACKOFF | State.EXITED | State.FATAL:
            if record.leftovers:
                state = State.STOPPING
            elif record.deadline is not None:
                state = State.STOPPED
            else:
                return unwished, ()
            stopped = unwished._replace(state=state, by=event.by, cause=event.cause)
            return _schedule(stopped, None), ()
        case _:
            assert_never(record.state)


def _on_restart(program: Program, record: Record, event: RestartAsked, now: float) -> Step:
    if record.state in (State.STARTING, State.RUNNING):
        return stopping.end(program, _forgiven(record)._replace(wanted=True), event, now)
    return _on_start(record, event, now)


def _on_exit(program: Program, record: Record, event: Exited, now: float) -> Step:
    if event.run != record.run or record.pid is None:
        return record, ()  # an older run: its end changes nothing
    lasted = now - record.spawned if record.spawned is not None else 0.0
    ended = record._replace(pid=None, exit=event.exit, error=None)
    early = record.state is State.STARTING and lasted < program.startsecs
    if record.state is State.STOPPING or (early and not record.wanted):
        after = stopping.stopped(ended, now)
        if event.leftovers:
            after = ended._replace(state=State.STOPPING, deadline=None)
    elif early:
        after = _on_failed_start(program, ended, now)
    else:
        after = _on_exit_while_up(program, ended, now)
    if event.kept is not None:
        after = after._replace(notes=(*after.notes, event.kept))
    if not event.leftovers:
        return after, ()
    kill_at = stopping.end_of_patience(program, record, now)
    held = after._replace(leftovers=True, due=after.deadline, deadline=kill_at, told=now)
    return held, (SignalLeftovers(program.stopsignal, record.told),)


def _on_exit_while_up(program: Program, record: Record, now: float) -> Record:
    """EXITED; respawned at the deadline if the policy says so and no stop is announced."""
    expected = is_expected(program, record.exit)
    again = record.wanted and is_respawned(program, record.exit)
    cause = Cause(CauseKind.EXITED, exit=record.exit, expected=expected)
    exited = record._replace(
        state=State.EXITED, failures=0, wanted=again, deadline=None, cause=cause, by=""
    )
    if not again:
        return exited
    return pacing.after_exit(program, exited, pacing.soonest(record, now), now)


def _on_failed_start(program: Program, record: Record, now: float) -> Record:
    """BACKOFF; at the deadline the next try, or FATAL when this was the last one."""
    if record.error is not None:
        cause = Cause(CauseKind.SPAWN_FAILED, error=record.error)
    else:
        cause = Cause(CauseKind.EXITED_TOO_SOON, exit=record.exit)
    failures = record.failures + 1
    failed = record._replace(state=State.BACKOFF, failures=failures, cause=cause, by="")
    return pacing.after_failed_start(program, failed, now)


def _on_leftovers_gone(record: Record, event: LeftoversGone, now: float) -> Step:
    if event.run != record.run or not record.leftovers:
        return record, ()
    notes = record.notes if event.ended is None else (*record.notes, event.ended)
    clean = record._replace(leftovers=False, deadline=record.due, due=None, notes=notes)
    if record.state is State.STOPPING:
        return stopping.stopped(clean, now), ()
    return clean, ()


def _on_deadline(program: Program, record: Record, now: float) -> Step:
    if record.leftovers or record.state is State.STOPPING:
        return stopping.kill(program, record, now)
    match record.state:
        case State.STARTING:
            cause = Cause(CauseKind.UP, seconds=program.startsecs)
            return record._replace(
                state=State.RUNNING, deadline=None, failures=0, cause=cause, by=""
            ), ()
        case State.STOPPED | State.BACKOFF | State.EXITED | State.FATAL:
            why = pacing.why_give_up(program, record)
            if why is not None:
                fatal = record._replace(state=State.FATAL, deadline=None, cooling=False)
                return fatal._replace(cause=why, by=""), ()
            return _spawn(program, record, now), (Spawn(),)
        case State.RUNNING:
            return record._replace(deadline=None), ()
        case _:
            assert_never(record.state)


def _spawn(program: Program, record: Record, now: float) -> Record:
    """STARTING; an automatic restart is counted, one that was asked for is not."""
    starting = record._replace(
        state=State.STARTING,
        deadline=now + program.startsecs,
        asked=False,
    )
    if record.asked:
        return starting._replace(cooling=False)
    if record.state is State.BACKOFF:
        tries = program.startretries + 1
        cause = Cause(CauseKind.RETRY, number=record.failures + 1, limit=tries)
    else:
        cause = Cause(CauseKind.RESTARTED, exit=pacing.last_exit(record), error=record.error)
    return pacing.counted_restart(program, starting, now)._replace(
        cooling=False, cause=cause, by=""
    )


def _new(record: Record) -> Record:
    """A run begins: what had to be done to end the one before is no longer of interest."""
    return record._replace(killed=False, kill_now=False, told=None, notes=())


def _forgiven(record: Record) -> Record:
    """Somebody asked for it: failures and automatic restarts are counted from here."""
    return record._replace(failures=0, restarts=(), restart_count=0, cooling=False)


def _schedule(record: Record, deadline: float | None) -> Record:
    """Set when the next spawn is due; while leftovers are being ended it waits for them."""
    if record.leftovers:
        return record._replace(due=deadline)
    return record._replace(deadline=deadline)


def is_spawn_next(program: Program, record: Record) -> bool:
    """Is what the deadline brings, once it has passed, a spawn?"""
    if record.state not in NOTHING_RUNS or record.leftovers:
        return False
    return pacing.why_give_up(program, record) is None


def is_respawned(program: Program, exit: Exit | None) -> bool:  # noqa: A002 the field's word
    """Does the policy bring back what has ended like this while it was up?"""
    match program.autorestart:
        case AutoRestart.ALWAYS:
            return True
        case AutoRestart.NEVER:
            return False
        case AutoRestart.UNEXPECTED:
            return not is_expected(program, exit)
        case _:
            assert_never(program.autorestart)


def is_expected(program: Program, exit: Exit | None) -> bool:  # noqa: A002 the field's word
    """Is this how the program says it ends? Death by a signal never is."""
    return exit is not None and exit.code is not None and exit.code in program.exitcodes
