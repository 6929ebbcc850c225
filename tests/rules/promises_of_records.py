"""What must be true of every record, whatever led to it."""

from __future__ import annotations

from supervisor_lite.model.states import QUIET
from tests.rules.moment import (
    BACKOFF,
    EXITED,
    FATAL,
    RUNNING,
    STARTING,
    STOPPED,
    STOPPING,
    Moment,
    Rule,
    waiting,
)


def waiting_states_have_a_deadline(m: Moment) -> bool:
    """STARTING, BACKOFF and STOPPING always have a deadline, and so have leftovers."""
    if m.after.state in (STARTING, BACKOFF, STOPPING) or m.after.leftovers:
        return m.after.deadline is not None
    return True


def running_waits_for_nothing(m: Moment) -> bool:
    """RUNNING has no deadline: an idle daemon sleeps."""
    return m.after.state is not RUNNING or m.after.deadline is None


def the_record_knows_what_lives(m: Moment) -> bool:
    """The record has a pid if and only if the main process lives, and that one's run id."""
    pid, run = m.after.pid, m.after.run
    return (pid is not None) == m.later.alive and run == m.later.run


def the_record_knows_what_is_left(m: Moment) -> bool:
    """The record waits for leftovers if and only if there are any, never beside a process."""
    leftovers = m.after.leftovers
    if leftovers and (m.after.pid is not None or m.after.state not in (EXITED, BACKOFF, STOPPING)):
        return False
    if m.after.due is not None and (not leftovers or m.after.state is STOPPING):
        return False
    return leftovers == m.later.leftovers


def quiet_states_own_no_pid(m: Moment) -> bool:
    """STOPPED, EXITED, FATAL and BACKOFF have no process."""
    return m.after.state in (STARTING, RUNNING, STOPPING) or not m.later.alive


def a_live_process_is_shown(m: Moment) -> bool:
    """A process told to end is STOPPING; another live one is STARTING or RUNNING."""
    if not m.later.alive:
        return m.after.state is not RUNNING and (m.after.state is not STOPPING or m.later.leftovers)
    return (m.after.state is STOPPING) == m.later.ending


def stopped_is_clean(m: Moment) -> bool:
    """STOPPED and FATAL mean that nothing is left."""
    return m.after.state not in (STOPPED, FATAL) or not (m.later.alive or m.later.leftovers)


def the_wish_is_kept(m: Moment) -> bool:
    """`wanted` is what was asked for last; only an end after which nothing follows clears it."""
    if m.later.wish:
        return m.after.wanted or (m.after.state is EXITED and m.later.over)
    return not m.after.wanted


def a_coming_spawn_is_wanted(m: Moment) -> bool:
    """A quiet state with a deadline is wanted: the deadline is that of a spawn."""
    if m.after.state in (*QUIET, BACKOFF) and waiting(m.after) is not None:
        return m.after.wanted
    return True


def what_is_asked_is_due(m: Moment) -> bool:
    """A start that was asked for is either carried out, or waits with a deadline."""
    if m.after.state in (STARTING, RUNNING):
        return not m.after.asked
    if m.later.asked and m.after.state is not STOPPING:
        return m.after.asked and waiting(m.after) is not None
    return not m.after.asked or m.later.asked


def failures_are_counted(m: Moment) -> bool:
    """`failures` is the number of failed starts in a row since the last request."""
    return m.after.failures == m.later.failures


def failures_have_an_end(m: Moment) -> bool:
    """There are never more failed starts in a row than startretries + 1."""
    return m.after.failures <= m.program.startretries + 1


def cooling_has_a_limit(m: Moment) -> bool:
    """`cooling` is set only between an end and the next spawn, when the limit is used up."""
    if not m.after.cooling:
        return True
    between = m.after.state in (BACKOFF, EXITED) and waiting(m.after) is not None
    return between and m.program.restart_limit is not None and not m.after.asked


def killed_is_true(m: Moment) -> bool:
    """`killed` and `kill_now` say what happened to the run that is live or was last."""
    return m.after.killed == m.later.killed and m.after.kill_now == m.later.kill_now


OF_RECORDS: tuple[Rule, ...] = (
    waiting_states_have_a_deadline, running_waits_for_nothing, the_record_knows_what_lives,
    the_record_knows_what_is_left, quiet_states_own_no_pid, a_live_process_is_shown,
    stopped_is_clean, the_wish_is_kept, a_coming_spawn_is_wanted, what_is_asked_is_due,
    failures_are_counted, failures_have_an_end, cooling_has_a_limit, killed_is_true,
)  # fmt: skip
"""Promises about each record, whatever led to it."""
