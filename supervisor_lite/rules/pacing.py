"""When the next try is due, and when there is none: backoff, budget and the shortest interval.

What lifecycle.py asks at the end of a run; like it, this touches nothing.
"""

from __future__ import annotations

from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import State
from supervisor_lite.rules import backoff


def after_failed_start(program: Program, record: Record, now: float) -> Record:
    """Set the deadline of the next try, or of giving up when this failure was the last one."""
    if backoff.too_many_failures(program, record.failures):
        return record._replace(deadline=now)
    pause = backoff.pause(program.backoff, record.failures, record.run or 0)
    return after_exit(program, record, max(now + pause, soonest(record, now)), now)


def after_exit(program: Program, record: Record, deadline: float, now: float) -> Record:
    """Set the deadline of the next automatic try, or what `restart_limit` says instead.

    It is decided here and not at the deadline: while leftovers are being ended, the window may
    slide on, and the limit would be forgotten together with the pause.
    """
    limit = program.restart_limit
    if limit is None or not backoff.budget_spent(limit, record.restarts, now):
        return record._replace(deadline=deadline)
    if limit.cooldown is None:
        return record._replace(deadline=now, cooling=True)  # and then FATAL
    return record._replace(deadline=max(deadline, now + limit.cooldown), cooling=True)


def why_give_up(program: Program, record: Record) -> Cause | None:
    """Return why there is no next automatic try; None if there is one."""
    if record.asked:
        return None
    last = Cause(CauseKind.START_RETRIES_SPENT, exit=last_exit(record), error=record.error)
    if record.state is State.BACKOFF and backoff.too_many_failures(program, record.failures):
        return last._replace(number=record.failures)
    limit = program.restart_limit
    if not record.cooling or limit is None or limit.cooldown is not None:
        return None
    kind = CauseKind.RESTART_LIMIT_REACHED
    return last._replace(kind=kind, number=limit.restarts, seconds=limit.window)


def counted_restart(program: Program, record: Record, now: float) -> Record:
    """Count an automatic restart; within the window of `restart_limit` if there is one."""
    limit = program.restart_limit
    restarts: tuple[float, ...] = ()
    if limit is not None:
        restarts = (*backoff.recent(limit, record.restarts, now), now)
        if record.cooling:
            restarts = (now,) * limit.restarts  # one try: the next end finds the budget spent
    return record._replace(restarts=restarts, restart_count=record.restart_count + 1)


def soonest(record: Record, now: float) -> float:
    """Return the earliest time at which the next spawn is allowed."""
    if record.spawned is None:
        return now
    return max(now, record.spawned + backoff.MIN_INTERVAL)


def last_exit(record: Record) -> Exit | None:
    """Return how the last try ended, unless it failed before there was a process."""
    return record.exit if record.error is None else None
