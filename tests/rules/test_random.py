"""Random programs, random runs, random requests: no promise is broken, and the count is right.

Two checks. Every step on the stage is held against the invariants. And what happens to a program
that nobody touches is foretold by a second, naive telling of the rules, which shares nothing with
the machine: a loop over the runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from supervisor_lite.model.events import Event
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from supervisor_lite.model.restart import AutoRestart, Backoff, BackoffKind, RestartLimit
from supervisor_lite.model.states import QUIET, State
from supervisor_lite.rules.backoff import pause
from tests.rules.machine import (
    ALWAYS,
    ANNOUNCE,
    DONE,
    FAILED,
    KILL,
    LEAK,
    RESTART,
    SEGFAULT,
    START,
    STOP,
    UNEXPECTED,
    UNKNOWN,
    at_most,
    constant,
    exponential,
    program,
)
from tests.rules.stage import DEAF, Run, Stage

CALM = settings(max_examples=80, deadline=None)
"""`deadline`: a busy machine is no failure."""

LONG = 1e6
"""Seconds after which every play is over."""

seconds = st.integers(0, 400).map(lambda number: number / 20)
exits = st.sampled_from([DONE, FAILED, SEGFAULT, UNKNOWN])

backoffs = st.builds(
    Backoff,
    kind=st.sampled_from(BackoffKind),
    seconds=st.sampled_from([0.0, 0.05, 1.0, 3.0]),
    max=st.sampled_from([None, 2.0]),
    jitter=st.sampled_from([0.0, 0.5]),
)
limits = st.builds(
    RestartLimit,
    restarts=st.integers(1, 3),
    window=st.sampled_from([0.5, 5.0, 60.0]),
    cooldown=st.sampled_from([None, 0.0, 0.05, 10.0]),
)
programs = st.builds(
    program,
    autorestart=st.sampled_from(AutoRestart),
    exitcodes=st.sampled_from([(0,), (0, 1), ()]),
    startsecs=st.sampled_from([0.0, 0.3, 1.0, 5.0]),
    startretries=st.integers(0, 4),
    stopwaitsecs=st.sampled_from([0.0, 0.5, 10.0]),
    stopasgroup=st.booleans(),
    killasgroup=st.booleans(),
    backoff=backoffs,
    restart_limit=st.none() | limits,
)
runs = st.builds(
    Run,
    error=st.sampled_from(["", "", "", "no such command"]),
    lasts=st.none() | seconds,
    exit=exits,
    obeys=st.sampled_from([None, 0.0, 0.2, 20.0]),
    leaves=st.sampled_from([None, None, 0.0, 0.3, 7.0, DEAF]),
)
REQUESTS = st.sampled_from([START, STOP, ANNOUNCE, RESTART, LEAK, KILL])
requests = st.lists(st.tuples(seconds, REQUESTS), max_size=8)


@CALM
@given(programs, st.lists(runs, min_size=1, max_size=6), requests)
def test_no_promise_is_broken(
    definition: Program, script: list[Run], asks: list[tuple[float, Event]]
) -> None:
    """Whatever is asked of whatever program; and a stop at the end is the end."""
    stage = Stage(definition, script)
    stage.ask(START)
    for at, event in asks:
        stage.ask(event, at)
    stage.play(25)
    stage.ask(STOP)
    stage.play(25 + 100)
    spawned = len(stage.spawns)
    assert stage.record.state in QUIET
    assert not stage.record.wanted
    assert not stage.truth.alive
    assert not stage.truth.leftovers
    stage.play(LONG)
    assert len(stage.spawns) == spawned


@CALM
@given(programs, st.lists(runs, min_size=1, max_size=6), requests)
def test_a_start_at_the_end_is_carried_out(
    definition: Program, script: list[Run], asks: list[tuple[float, Event]]
) -> None:
    """Whatever happened before: a start, or a restart, leads to a process that is RUNNING."""
    stage = Stage(definition, [*script, Run()])
    for at, event in asks:
        stage.ask(event, at)
    stage.play(25)
    while len(stage.spawns) < len(script):
        before = len(stage.spawns)
        stage.ask(RESTART)
        stage.play(stage.now + 100)
        assert len(stage.spawns) > before
    stage.ask(RESTART)
    stage.play(stage.now + 100)
    assert stage.record.state is State.RUNNING


def foretold(definition: Program, script: Sequence[Run]) -> tuple[list[float], State]:
    """Tell when a program is spawned and how it ends, if nobody touches it after its start.

    The rules once more, as a loop over the runs. The last run lives, or its end is the end.
    """
    now, failures = 0.0, 0
    spawns: list[float] = []
    automatic: list[float] = []
    limit = definition.restart_limit
    for number, run in enumerate(script, 1):
        spawns.append(now)
        if run.error:
            end, early = now, True
        elif run.lasts is None:
            return spawns, State.RUNNING
        else:
            end, early = now + run.lasts, run.lasts < definition.startsecs
        if early:
            failures += 1
            if failures > definition.startretries:
                return spawns, State.FATAL
            wait = pause(definition.backoff, failures, number)
        else:
            failures, wait = 0, 0.0
            if not _respawned(definition, run.exit):
                return spawns, State.EXITED
        following = max(end + wait, now + 0.1)
        recent = [] if limit is None else [t for t in automatic if end - t < limit.window]
        cooled = limit is not None and len(recent) >= limit.restarts
        if limit is not None and cooled:
            if limit.cooldown is None:
                return spawns, State.FATAL
            following = max(following, end + limit.cooldown)
            automatic = [following] * limit.restarts
        else:
            automatic.append(following)
        now = following
    raise AssertionError("the last run has to live")


def _respawned(definition: Program, how: Exit) -> bool:
    if definition.autorestart is AutoRestart.UNEXPECTED:
        return how.code is None or how.code not in definition.exitcodes
    return definition.autorestart is AutoRestart.ALWAYS


untouched = st.builds(
    Run,
    error=st.sampled_from(["", "", "no such command"]),
    lasts=seconds,
    exit=exits,
)


@settings(CALM, max_examples=200)
@given(programs, st.lists(untouched, max_size=12))
@example(program(startsecs=0, restart_limit=at_most(2, 0.5, 0)), [Run(lasts=0)] * 8)
@example(program(autorestart=ALWAYS, restart_limit=at_most(1, 5)), [Run(lasts=5)] * 3)
def test_it_happens_as_foretold(definition: Program, script: list[Run]) -> None:
    """The times of all spawns and the last state are those of the naive telling."""
    script = [*script, Run()]
    stage = Stage(definition, script)
    stage.ask(START)
    stage.play(LONG)
    spawns, last = foretold(definition, script)
    assert stage.spawns == pytest.approx(spawns)
    assert stage.record.state is last


@pytest.mark.parametrize("startretries", [0, 1, 3, 5, 20])
@pytest.mark.parametrize(
    ("rule", "total"),
    [
        (Backoff(), lambda n: n * (n + 1) / 2),
        (exponential(), lambda n: 2.0**n - 1),
        (constant(7), lambda n: 7.0 * n),
    ],
)
def test_what_always_fails_is_tried_startretries_times_more(
    startretries: int, rule: Backoff, total: object
) -> None:
    """n tries after the first: linear takes n(n+1)/2 s, exponential 2ⁿ-1 s, until FATAL."""
    assert callable(total)
    stage = Stage(program(startretries=startretries, backoff=rule), [Run(lasts=0)])
    stage.ask(START)
    stage.play(LONG * 10)
    assert len(stage.spawns) == startretries + 1
    assert stage.spawns[-1] == pytest.approx(total(startretries))
    assert stage.seen[-1].endswith("FATAL")


@pytest.mark.parametrize("policy", [ALWAYS, UNEXPECTED])
def test_a_loop_of_exits_makes_ten_spawns_a_second(policy: AutoRestart) -> None:
    """With startsecs = 0 and no limit: steady, never tight."""
    stage = Stage(program(startsecs=0, autorestart=policy), [Run(lasts=0)])
    stage.ask(START)
    stage.play(9.999)
    assert len(stage.spawns) == 100


@pytest.mark.parametrize("lasts", [0.0, 0.02, 1.0])
def test_a_limit_bounds_the_spawns_of_any_loop(lasts: float) -> None:
    """5/10m: one start, five restarts, FATAL; however short or long the runs are."""
    definition = program(startsecs=0, restart_limit=at_most(5, 600))
    stage = Stage(definition, [Run(lasts=lasts)])
    stage.ask(START)
    stage.play(LONG)
    assert len(stage.spawns) == 6
    assert stage.record.state is State.FATAL
