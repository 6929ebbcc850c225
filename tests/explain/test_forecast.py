"""What `explain` says will happen, for programs whose every start fails at once."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from supervisor_lite.explain import imagined
from supervisor_lite.explain.forecast import Forecast, forecast
from supervisor_lite.model.events import DeadlinePassed, Exited, Spawned, StartAsked, StopAsked
from supervisor_lite.model.program import Leftovers, Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.restart import Backoff, BackoffKind
from supervisor_lite.model.states import State
from supervisor_lite.rules.lifecycle import Step, step
from tests.rules.machine import (
    ALWAYS,
    DONE,
    FAILED,
    NEVER,
    at_most,
    constant,
    exponential,
    program,
)


def spawns(told: Forecast) -> list[float]:
    """Return when the process is spawned."""
    starts = ("start", "try", "restart")
    return [moment.at for moment in told.schedule if moment.what.startswith(starts)]


def words(told: Forecast) -> list[str]:
    return [moment.what for moment in told.schedule]


def fresh(definition: Program) -> Forecast:
    return forecast(definition, Record(), 50.0)


def test_supervisors_rule() -> None:
    """startretries = 3 is four spawns at 0, 1, 3 and 6 s, and FATAL at the last failure."""
    told = fresh(program())
    assert [(moment.at, moment.what) for moment in told.schedule] == [
        (0.0, "start"),
        (1.0, "try 2 of 4"),
        (3.0, "try 3 of 4"),
        (6.0, "try 4 of 4"),
        (6.0, "FATAL: gave up after 4 tries"),
    ]
    assert "If every try fails at once, it is FATAL after 6 s." in told.lines
    assert told.lines[-1] == "It is STOPPED. If it were started now and every start failed at once:"


@pytest.mark.parametrize(
    ("rule", "times"),
    [
        (Backoff(seconds=0.5), [0, 0.5, 1.5, 3]),
        (exponential(), [0, 1, 3, 7]),
        (exponential(limit=1.5), [0, 1, 2.5, 4]),
        (constant(0.3), [0, 0.3, 0.6, 0.9]),
        (constant(0.0), [0, 0.1, 0.2, 0.3]),
        (Backoff(max=2, jitter=0.5), [0, 1, 1 + 4 / 3, 1 + 8 / 3]),
    ],
)
def test_each_kind_of_pause(rule: Backoff, times: list[float]) -> None:
    assert spawns(fresh(program(backoff=rule))) == pytest.approx(times, abs=1e-5)


def test_no_retry_is_fatal_at_once() -> None:
    told = fresh(program(startretries=0))
    assert words(told) == ["start", "FATAL: gave up after 1 try"]
    assert "A failed start is not tried again: it is FATAL." in told.lines


def test_jitter_is_told_as_a_bound() -> None:
    """The schedule has the earliest times; the sentence says by how much they may be later."""
    told = fresh(program(backoff=Backoff(jitter=0.25)))
    assert spawns(told) == [0, 1, 3, 6]
    assert any("each up to +25 %" in line for line in told.lines)
    assert any("FATAL after at least 6 s" in line for line in told.lines)


def test_a_limit_that_is_fatal() -> None:
    """Two automatic starts are allowed; the third is not made."""
    told = fresh(program(startretries=9, restart_limit=at_most(2, 60)))
    assert spawns(told) == [0, 1, 3]
    assert told.schedule[-1].what == "FATAL: gave up after 2 restarts in 60 s"
    assert told.schedule[-1].at == 3


def test_a_limit_with_a_pause_goes_on_until_the_tries_are_used_up() -> None:
    definition = program(
        startretries=6, backoff=constant(0.1), restart_limit=at_most(2, 60, cooldown=5)
    )
    told = fresh(definition)
    assert spawns(told) == pytest.approx([0, 0.1, 0.2, 5.2, 10.2, 15.2, 20.2])
    assert words(told)[3] == "2 automatic starts in 60 s are used up: a pause of 5 s"
    assert words(told)[4:6] == ["try 4 of 7 after the pause", "try 5 of 7 after the pause"]
    assert words(told)[-1] == "FATAL: gave up after 7 tries"


def test_without_an_end() -> None:
    """startsecs = 0 knows no failed start: it is told once that this goes on for ever."""
    told = fresh(program(startsecs=0))
    assert words(told) == ["start", "restart", "and so on, every 0.1 s, without an end"]
    limited = fresh(program(startsecs=0, restart_limit=at_most(2, 60, cooldown=30)))
    assert words(limited)[-1] == "and so on, every 30 s, without an end"
    assert spawns(limited) == pytest.approx([0, 0.1, 0.2, 30.2, 60.2])


def test_no_restart_after_an_exit() -> None:
    told = fresh(program(startsecs=0, autorestart=NEVER))
    assert words(told) == ["start", "EXITED, and not started again"]
    assert any("it stays EXITED (autorestart = false)" in line for line in told.lines)


def test_a_long_schedule_is_shortened_and_keeps_its_end() -> None:
    told = fresh(program(startretries=100, backoff=constant(1)))
    assert len(told.schedule) == 21
    assert told.schedule[16].what == "… 82 more like these, until here"
    assert (told.schedule[-1].at, told.schedule[-1].what) == (
        100.0,
        "FATAL: gave up after 101 tries",
    )


def test_a_policy_that_takes_for_ever_is_told_in_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A million retries are not played to their end."""
    steps = itertools.count()

    def counted(*args: Any) -> Step:
        next(steps)
        return step(*args)

    monkeypatch.setattr(imagined, "step", counted)
    told = fresh(
        program(startretries=1_000_000, backoff=constant(0), restart_limit=at_most(500, 9))
    )
    assert told.schedule[-1].what == "and so on: farther than this is not told"
    assert next(steps) < 10_000


@pytest.mark.parametrize("codes", [(1,), (0, 1, 2), tuple(range(256))])
def test_the_imagined_failure_is_never_an_expected_exit(codes: tuple[int, ...]) -> None:
    told = fresh(program(startsecs=0, exitcodes=codes, restart_limit=at_most(1, 60)))
    assert words(told) == ["start", "restart", "FATAL: gave up after 1 restarts in 60 s"]


# Where the process is now.


def run_until(definition: Program, *, failures: int, now: float) -> tuple[Record, float]:
    """Return the record after so many real failed starts, and when that is."""
    record, _ = step(definition, Record(), StartAsked("ann"), now)
    for run in range(1, failures + 1):
        now = max(now, record.deadline or now)
        record, _ = step(definition, record, DeadlinePassed(), now)
        record, _ = step(definition, record, Spawned(run, 100 + run), now)
        now += 0.25
        record, _ = step(definition, record, Exited(run, FAILED), now)
    return record, now


def test_in_the_middle_of_retries() -> None:
    """What is left of the schedule, from now, with the jitter that the present pause really has."""
    definition = program(backoff=Backoff(jitter=0.5))
    record, now = run_until(definition, failures=2, now=10.0)
    told = forecast(definition, record, now + 0.5)
    assert record.deadline is not None
    first = record.deadline - now - 0.5
    assert 1.5 < first <= 2.5
    assert spawns(told) == pytest.approx([first, first + 3])
    assert words(told)[0] == "try 3 of 4"
    assert told.lines[-1] == "It waits for its next start. If every start fails at once:"


def test_running() -> None:
    definition = program()
    record, _ = step(definition, Record(), StartAsked("ann"), 0)
    record, _ = step(definition, record, DeadlinePassed(), 0)
    record, _ = step(definition, record, Spawned(7, 100), 0)
    starting = forecast(definition, record, 0.5)
    assert spawns(starting) == [1, 3, 6]
    assert starting.lines[-1].startswith("It is being started.")
    record, _ = step(definition, record, DeadlinePassed(), 1)
    assert record.state is State.RUNNING
    told = forecast(definition, record, 60)
    assert spawns(told) == [0, 1, 3, 6]
    assert words(told)[0] == "restart"
    assert told.lines[-1].startswith("It is RUNNING. If it ended unexpectedly now")


def test_stopping() -> None:
    """One that is being stopped stays down: the schedule is that of a start after it."""
    definition = program()
    record = Record(state=State.RUNNING, wanted=True, pid=5, run=3, spawned=0.0)
    record, _ = step(definition, record, StopAsked("ann"), 50)
    told = forecast(definition, record, 51)
    assert told.lines[-1].startswith("It is being stopped. If it were started after that")
    assert words(told)[0] == "start"


def test_while_leftovers_are_being_ended() -> None:
    """The forecast begins when they are gone."""
    definition = program()
    record = Record(state=State.RUNNING, wanted=True, pid=5, run=3, spawned=0.0)
    record, _ = step(definition, record, Exited(3, FAILED, leftovers=True), 50)
    told = forecast(definition, record, 51)
    assert (words(told)[0], spawns(told)[0]) == ("restart", 0)


def test_nothing_is_remembered() -> None:
    """Who asks twice hears the same."""
    definition = program()
    record, now = run_until(definition, failures=1, now=0.0)
    assert forecast(definition, record, now) == forecast(definition, record, now)


# Sentences.


def test_what_is_said_of_exits() -> None:
    def said(definition: Program) -> str:
        return next(line for line in fresh(definition).lines if line.startswith("When it ends"))

    assert "expected exit code (0, 2), it stays EXITED" in said(program(exitcodes=(0, 2)))
    assert "(none)" in said(program(exitcodes=()))
    assert said(program(autorestart=ALWAYS)).startswith(
        "When it ends after it was RUNNING, it is started again at once"
    )


def test_what_is_said_of_stops() -> None:
    def said(definition: Program) -> str:
        return next(line for line in fresh(definition).lines if line.startswith("A stop"))

    text = said(program(stopsignal="INT", stopwaitsecs=90, stopasgroup=True, killasgroup=True))
    assert text.startswith("A stop sends INT to its process group, KILL to the group after 90 s.")
    assert "gets INT, and KILL after 90 s" in text
    kept = said(program(leftovers=Leftovers.KEEP))
    assert kept.startswith("A stop sends TERM to its main process, KILL after 10 s.")
    assert kept.endswith("is left alone.")


def test_what_is_said_of_pauses() -> None:
    def said(rule: Backoff, retries: int) -> str:
        lines = fresh(program(backoff=rule, startretries=retries)).lines
        return next(line for line in lines if line.startswith("A failed start"))

    assert "up to 9 times, after 1 s, 2 s, 3 s, 4 s, 5 s, 6 s … (linear" in said(Backoff(), 9)
    capped = Backoff(kind=BackoffKind.EXPONENTIAL, max=5)
    assert "after 1 s, 2 s, 4 s, 5 s (exponential backoff, at most 5 s)" in said(capped, 4)
    assert "once, after 2 s each time (constant backoff)" in said(constant(2), 1)


def test_an_expected_exit_is_no_part_of_the_forecast() -> None:
    """The world is one of failures; what an expected exit does is said in words."""
    definition = program(startsecs=0)
    record = Record(state=State.RUNNING, wanted=True, pid=5, run=3, spawned=0.0)
    after, _ = step(definition, record, Exited(3, DONE), 50)
    assert (after.state, after.deadline) == (State.EXITED, None)
    assert words(forecast(definition, record, 50))[0] == "restart"
