"""What must be true of every step: what an event leads to, and each spawn."""

from __future__ import annotations

from supervisor_lite.model.actions import Signal, SignalLeftovers, Spawn
from supervisor_lite.model.cause import Cause, CauseKind, Note, NoteKind
from supervisor_lite.model.events import (
    DeadlinePassed,
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
from supervisor_lite.model.program import Program
from supervisor_lite.model.restart import BackoffKind
from supervisor_lite.model.states import QUIET, State
from supervisor_lite.rules.lifecycle import is_spawn_next
from tests.rules.moment import (
    BACKOFF,
    EXITED,
    FATAL,
    MIN_INTERVAL,
    RUNNING,
    STARTING,
    STOPPED,
    STOPPING,
    WAYS,
    Moment,
    Rule,
    waiting,
)
from tests.rules.truth import (
    TICK,
    again,
    before_its_turn,
    gives_up,
    is_failed_start,
    used_up,
)


def deadlines_lie_ahead(m: Moment) -> bool:
    """A deadline is never set to a time that is over, unless leftovers were waited for."""
    deadline = m.after.deadline
    if deadline is None or deadline == m.before.deadline or isinstance(m.event, LeftoversGone):
        return True
    return deadline >= m.now


def only_known_ways(m: Moment) -> bool:
    """The state changes only along the arrows of the diagram."""
    return not m.moved or m.after.state in WAYS[m.before.state]


def old_news_changes_nothing(m: Moment) -> bool:
    """The end of an older run, or of one that ended already, changes nothing."""
    match m.event:
        case Exited(run) | MainReplaced(run):
            known = m.truth.alive and run == m.truth.run
        case LeftoversGone(run):
            known = m.truth.leftovers and run == m.truth.run
        case _:
            return True
    return known or (m.after == m.before and not m.actions)


def a_new_main_process_is_the_same_run(m: Moment) -> bool:
    """When the main process is replaced, nothing but its pid changes."""
    if not isinstance(m.event, MainReplaced):
        return True
    return m.after._replace(pid=m.before.pid) == m.before and not m.actions


def waking_up_early_is_harmless(m: Moment) -> bool:
    """DeadlinePassed before the deadline, or without one, changes nothing."""
    due = m.before.deadline is not None and m.now >= m.before.deadline
    if due or not isinstance(m.event, DeadlinePassed):
        return True
    return m.after == m.before and not m.actions


def a_deadline_does_something(m: Moment) -> bool:
    """A deadline that has passed is replaced: nobody is woken up twice for one thing."""
    due = m.before.deadline is not None and m.now >= m.before.deadline
    if not due or not isinstance(m.event, DeadlinePassed):
        return True
    return m.after.deadline is None or m.after.deadline > m.now or m.spawns


def a_spawn_is_foretold(m: Moment) -> bool:
    """Whether a deadline that has passed brings a spawn is known before: it may have to queue."""
    due = m.before.deadline is not None and m.now >= m.before.deadline
    if not due or not isinstance(m.event, DeadlinePassed):
        return True
    return is_spawn_next(m.program, m.before) == m.spawns


def exactly_these_actions(m: Moment) -> bool:
    """Each event has its actions: signals only to what lives, a stop signal only once."""
    program, truth = m.program, m.truth
    match m.event:
        case StopAsked() | RestartAsked() | Faulted() if m.later.ending and not truth.ending:
            return m.actions == (Signal(program.stopsignal, program.stopasgroup),)
        case Exited(leftovers=True) if m.ended_now:
            told = truth.told if truth.group_told else None
            return m.actions == (SignalLeftovers(program.stopsignal, told),)
        case DeadlinePassed() if m.before.deadline is not None and m.now >= m.before.deadline:
            if truth.leftovers:
                return m.actions == (SignalLeftovers("KILL"),)
            if truth.ending:
                return m.actions == (Signal("KILL", program.killasgroup),)
            return m.actions == ((Spawn(),) if m.after.state is STARTING and m.moved else ())
        case _:
            return m.actions == ()


def never_two_processes(m: Moment) -> bool:
    """Nothing is spawned while the main process lives or its leftovers are being ended."""
    return not (m.truth.alive or m.truth.leftovers)


def a_spawn_is_wanted_and_starting(m: Moment) -> bool:
    """A spawn means wanted and now STARTING, and there is no other way into STARTING."""
    entered = m.moved and m.after.state is STARTING
    return entered == m.spawns and (not m.spawns or m.after.wanted)


def after_a_stop_nothing_starts(m: Moment) -> bool:
    """When the last request was a stop, nothing is spawned."""
    return m.truth.wish


def over_is_over(m: Moment) -> bool:
    """Nothing is spawned after the last try, or after an end that the policy accepts."""
    return m.truth.asked or not m.truth.over


def giving_up_has_a_reason(m: Moment) -> bool:
    """FATAL comes only after the last try, never to a start that was asked for."""
    entered = m.moved and m.after.state is FATAL
    return not entered or (m.truth.over and not m.truth.asked and m.truth.wish)


def spawns_keep_their_distance(m: Moment) -> bool:
    """Two spawns of one process are at least 0.1 s apart."""
    return m.now - m.truth.spawned >= MIN_INTERVAL - TICK


def the_limit_is_kept(m: Moment) -> bool:
    """No more automatic spawns in a window than `restart_limit` says, but one per cool-down."""
    limit = m.program.restart_limit
    if m.truth.asked or limit is None:
        return True
    return limit.cooldown is not None or not used_up(m.program, m.truth, m.now)


def running_was_earned(m: Moment) -> bool:
    """RUNNING only after `startsecs` up, only from STARTING, only when the time has come."""
    if not m.moved or m.after.state is not RUNNING:
        return True
    return isinstance(m.event, DeadlinePassed) and not is_failed_start(m.program, m.truth, m.now)


def starting_ends_in_time(m: Moment) -> bool:
    """A spawned process is looked at again when it has been up for `startsecs`."""
    if not isinstance(m.event, Spawned):
        return True
    due = m.now + m.program.startsecs
    return m.after.state is STARTING and m.after.deadline == due and m.after.spawned == m.now


def an_early_end_is_a_failed_start(m: Moment) -> bool:
    """An end before `startsecs`, with any code, is BACKOFF; later it is EXITED."""
    if not m.ended_now or m.truth.ending or before_its_turn(m.program, m.truth, m.now):
        return True
    early = is_failed_start(m.program, m.truth, m.now)
    return m.after.state is (BACKOFF if early else EXITED)


def an_end_that_was_asked_for_is_a_stop(m: Moment) -> bool:
    """What was told to end, or fails to start before its turn, is STOPPED, after its leftovers."""
    waited = before_its_turn(m.program, m.truth, m.now)
    if not m.ended_now or not (m.truth.ending or waited):
        return True
    return m.after.state is (STOPPING if m.later.leftovers else STOPPED)


def a_failed_start_waits_its_turn(m: Moment) -> bool:
    """The pause after a failed start is that of `backoff`; the last one ends at once."""
    failed = m.later.failures > m.truth.failures
    if not failed:
        return True
    due = waiting(m.after)
    if due is None:
        return False
    if gives_up(m.program, m.truth, m.later.failures, m.now):
        return due == m.now
    limit = m.program.restart_limit
    low, high = _pauses(m.program, m.later.failures)
    if limit is not None and limit.cooldown is not None and used_up(m.program, m.truth, m.now):
        low, high = max(low, limit.cooldown), max(high, limit.cooldown)
    low, high = max(low, MIN_INTERVAL - (m.now - m.later.spawned)), max(high, MIN_INTERVAL)
    return low - TICK <= due - m.now <= high + TICK


def _pauses(program: Program, failures: int) -> tuple[float, float]:
    """Return the shortest and the longest pause that `backoff` may give."""
    rule = program.backoff
    factors = {
        BackoffKind.LINEAR: float(failures),
        BackoffKind.EXPONENTIAL: 2.0 ** (failures - 1),
        BackoffKind.CONSTANT: 1.0,
    }
    low = rule.seconds * factors[rule.kind]
    high = low * (1 + rule.jitter)
    if rule.max is not None:
        low, high = min(low, rule.max / (1 + rule.jitter)), min(high, rule.max)
    return low, high


def an_end_follows_the_policy(m: Moment) -> bool:
    """After an end while up: again at once, after the cool-down, or never, as the policy says."""
    if not isinstance(m.event, Exited) or not m.ended_now or m.after.state is not EXITED:
        return True
    due, limit = waiting(m.after), m.program.restart_limit
    if not (m.truth.wish and again(m.program, m.event)):
        return due is None and not m.after.wanted
    if due is None or not m.after.wanted:
        return False
    soonest = max(m.now, m.truth.spawned + MIN_INTERVAL)
    if not used_up(m.program, m.truth, m.now) or limit is None:
        return abs(due - soonest) <= TICK
    if limit.cooldown is None:
        return due == m.now
    return abs(due - max(soonest, m.now + limit.cooldown)) <= TICK


def a_stop_is_bounded(m: Moment) -> bool:
    """What is told to end is killed after `stopwaitsecs`, at once if asked to, and then again."""
    deadline, patience = m.after.deadline, m.program.stopwaitsecs
    if m.later.ending and not m.truth.ending:
        return deadline == m.now + patience
    if m.ended_now and m.later.leftovers:
        if m.truth.kill_now:
            return deadline == m.now
        if m.truth.told is None:
            return deadline == m.now + patience
        least = m.now + min(patience, 1.0)
        left = least if m.truth.killed else max(m.truth.told + patience, least)
        return deadline is not None and abs(deadline - left) <= TICK
    if Signal("KILL", m.program.killasgroup) in m.actions or SignalLeftovers("KILL") in m.actions:
        return deadline is not None and abs(deadline - m.now - max(patience, 1.0)) <= TICK
    if isinstance(m.event, KillAsked) and (m.truth.ending or m.truth.leftovers):
        return deadline is not None and deadline <= m.now
    return True


def a_request_does_not_delay_a_kill(m: Moment) -> bool:
    """While something is being ended, requests do not move the deadline of its SIGKILL."""
    asked = isinstance(m.event, StartAsked | StopAsked | StopAnnounced | RestartAsked | Faulted)
    if asked and (m.truth.ending or m.truth.leftovers):
        return m.after.deadline == m.before.deadline
    return True


def a_stop_takes_effect(m: Moment) -> bool:
    """After a stop the process is STOPPING, or quiet without a deadline."""
    if not isinstance(m.event, StopAsked | StopAnnounced):
        return True
    if isinstance(m.event, StopAnnounced) and m.truth.alive and not m.truth.ending:
        return True
    if m.truth.alive or m.truth.leftovers:
        return m.after.state is STOPPING
    return m.after.state in QUIET and m.after.deadline is None


def an_announced_stop_waits_its_turn(m: Moment) -> bool:
    """What is up when a stop is announced goes on as it is, and is no longer wanted."""
    if not isinstance(m.event, StopAnnounced) or not m.truth.alive or m.truth.ending:
        return True
    waits = m.before._replace(wanted=False, by=m.event.by, cause=m.event.cause)
    return m.after == waits


def only_a_request_forgives(m: Moment) -> bool:
    """Only what somebody asks for forgets the automatic restarts; the daemon's own never does."""
    if isinstance(m.event, StartAsked | RestartAsked):
        return True
    limit = m.program.restart_limit
    window = limit.window if limit is not None else 0.0
    recent = {time for time in m.before.restarts if m.now - time < window}
    kept = recent <= set(m.after.restarts) or m.before.cooling  # that uses up all of it
    return m.after.restart_count >= m.before.restart_count and kept


def a_start_is_due_at_once(m: Moment) -> bool:
    """A start of what is down is due now, or 0.1 s after the last spawn; failures are forgotten."""
    if not isinstance(m.event, StartAsked | RestartAsked) or m.truth.alive:
        return True
    if m.before.state is STOPPING:
        return m.after.state is STOPPING
    soonest = max(m.now, m.truth.spawned + MIN_INTERVAL)
    due = waiting(m.after)
    return due is not None and abs(due - soonest) <= TICK and m.after.restart_count == 0


def a_start_of_what_is_up_changes_nothing(m: Moment) -> bool:
    """A start of a process that is up leaves it as it is, but withdraws an announced stop."""
    up = m.truth.alive and not m.truth.ending
    if not isinstance(m.event, StartAsked) or not up:
        return True
    if m.truth.wish:
        return m.after == m.before
    stays = m.before._replace(wanted=True, by=m.event.by, cause=m.event.cause)
    return m.after == stays


def restarts_are_counted(m: Moment) -> bool:
    """`restart_count` counts the spawns that nobody asked for."""
    if not m.spawns:
        return m.after.restart_count in (m.before.restart_count, 0)
    if m.truth.asked:
        return m.after.restart_count == m.before.restart_count
    return m.after.restart_count == m.before.restart_count + 1


def everything_has_a_cause(m: Moment) -> bool:
    """Each change has a cause, and names who asked for it; nobody, if nobody did."""
    if not m.moved:
        return True
    asked = isinstance(m.event, StartAsked | StopAsked | StopAnnounced | RestartAsked) or (
        m.after.state in (STOPPING, STOPPED) or (m.spawns and m.truth.asked)
    )
    return m.after.cause is not None and m.after.by == (m.later.by if asked else "")


def the_cause_says_what_happened(m: Moment) -> bool:
    """The kind of a cause fits the change, and it carries how the last run ended."""
    cause = m.after.cause
    if not m.moved or cause is None:
        return not m.moved
    if isinstance(m.event, StartAsked | StopAsked | StopAnnounced | RestartAsked | Faulted):
        return cause == m.event.cause
    match m.after.state:
        case State.RUNNING:
            return cause == Cause(CauseKind.UP, seconds=m.program.startsecs)
        case State.EXITED if isinstance(m.event, Exited):
            expected = m.event.exit.code in m.program.exitcodes
            return cause == Cause(CauseKind.EXITED, exit=m.event.exit, expected=expected)
        case State.BACKOFF if isinstance(m.event, Exited):
            return cause == Cause(CauseKind.EXITED_TOO_SOON, exit=m.event.exit)
        case State.BACKOFF if isinstance(m.event, SpawnFailed):
            return cause == Cause(CauseKind.SPAWN_FAILED, error=m.event.error)
        case State.STARTING if not m.truth.asked and m.before.state is BACKOFF:
            tries = m.program.startretries + 1
            return cause == Cause(CauseKind.RETRY, number=m.truth.failures + 1, limit=tries)
        case State.STARTING if not m.truth.asked and m.before.state is EXITED:
            return cause == Cause(CauseKind.RESTARTED, exit=m.before.exit)
        case State.FATAL:
            return cause in (_spent_retries(m), _spent_restarts(m))
        case _:
            return cause == m.before.cause


def _spent_retries(m: Moment) -> Cause | None:
    kind, record = CauseKind.START_RETRIES_SPENT, m.before
    last = Cause(kind, exit=None if record.error else record.exit, error=record.error)
    spent = record.state is BACKOFF and m.truth.failures > m.program.startretries
    return last._replace(number=m.truth.failures) if spent else None


def _spent_restarts(m: Moment) -> Cause | None:
    kind, record, limit = CauseKind.RESTART_LIMIT_REACHED, m.before, m.program.restart_limit
    if limit is None:
        return None
    last = Cause(kind, exit=None if record.error else record.exit, error=record.error)
    return last._replace(number=limit.restarts, seconds=limit.window)


def how_it_ended_is_kept(m: Moment) -> bool:
    """The exit or the error of the last try stays known until a run ends differently."""
    if isinstance(m.event, Exited) and m.ended_now:
        return m.after.exit == m.event.exit and m.after.error is None
    if isinstance(m.event, SpawnFailed):
        return m.after.error == m.event.error and m.after.exit == m.before.exit
    if isinstance(m.event, Spawned):
        return m.after.error is None and m.after.exit == m.before.exit
    return m.after.exit == m.before.exit and m.after.error == m.before.error


def notes_are_of_this_run(m: Moment) -> bool:
    """A note (KILL, leftovers) never outlives the run that it is about."""
    return not m.answered or m.after.notes == ()


def what_was_done_is_noted(m: Moment) -> bool:
    """A first SIGKILL, leftovers that had to be ended and those that are kept are noted."""
    match m.event:
        case DeadlinePassed() if m.truth.ending and m.later.killed:
            waited = None if m.truth.kill_now else m.program.stopwaitsecs
            killed = () if m.truth.killed else (Note(NoteKind.KILLED, waited),)
            return m.after.notes == m.before.notes + killed
        case LeftoversGone(run, ended) if run == m.truth.run and m.truth.leftovers:
            return m.after.notes == m.before.notes + ((ended,) if ended else ())
        case Exited(kept=kept) if m.ended_now:
            return m.after.notes == m.before.notes + ((kept,) if kept else ())
        case _:
            return True


OF_STEPS: tuple[Rule, ...] = (
    deadlines_lie_ahead, only_known_ways, old_news_changes_nothing,
    a_new_main_process_is_the_same_run, waking_up_early_is_harmless,
    a_deadline_does_something, a_spawn_is_foretold, exactly_these_actions, running_was_earned,
    starting_ends_in_time, an_early_end_is_a_failed_start,
    an_end_that_was_asked_for_is_a_stop, a_failed_start_waits_its_turn,
    an_end_follows_the_policy, giving_up_has_a_reason,
    a_stop_takes_effect, an_announced_stop_waits_its_turn, only_a_request_forgives,
    a_stop_is_bounded, a_request_does_not_delay_a_kill,
    a_start_is_due_at_once, a_start_of_what_is_up_changes_nothing, restarts_are_counted,
    everything_has_a_cause, the_cause_says_what_happened, how_it_ended_is_kept,
    notes_are_of_this_run, what_was_done_is_noted,
    a_spawn_is_wanted_and_starting,
)  # fmt: skip
"""Promises about what an event leads to."""

OF_SPAWNS: tuple[Rule, ...] = (
    never_two_processes, after_a_stop_nothing_starts, over_is_over, spawns_keep_their_distance,
    the_limit_is_kept,
)  # fmt: skip
"""Promises about each spawn."""
