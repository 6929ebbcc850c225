"""How long until the next try, and when to give up."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor_lite.model.restart import Backoff, BackoffKind
from supervisor_lite.rules import backoff
from tests.rules.machine import at_most, constant, exponential, program

LINEAR = Backoff()


def pauses(rule: Backoff, count: int = 5, run: int = 1) -> list[float]:
    return [backoff.pause(rule, failures, run) for failures in range(1, count + 1)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (LINEAR, [1, 2, 3, 4, 5]),
        (Backoff(seconds=0.5), [0.5, 1, 1.5, 2, 2.5]),
        (Backoff(max=2), [1, 2, 2, 2, 2]),
        (exponential(), [1, 2, 4, 8, 16]),
        (exponential(seconds=0.25, limit=1), [0.25, 0.5, 1, 1, 1]),
        (constant(7), [7, 7, 7, 7, 7]),
        (constant(0), [0, 0, 0, 0, 0]),
    ],
)
def test_pauses(rule: Backoff, expected: list[float]) -> None:
    assert pauses(rule) == expected


def test_a_million_failures_are_no_overflow() -> None:
    """`startretries` may be large; a pause is a number all the same."""
    assert backoff.pause(exponential(limit=60), 1_000_000, 1) == 60
    assert backoff.pause(exponential(), 1_000_000, 1) < float("inf")


rules = st.builds(
    Backoff,
    kind=st.sampled_from(BackoffKind),
    seconds=st.floats(0.01, 100),
    max=st.none() | st.floats(0.01, 100),
    jitter=st.floats(0, 1),
)


@given(rules, st.integers(1, 200), st.integers(0, 1 << 40))
def test_no_pause_is_longer_than_its_maximum(rule: Backoff, failures: int, run: int) -> None:
    """`backoff_max` holds with jitter too, and jitter only ever adds."""
    pause = backoff.pause(rule, failures, run)
    assert pause > 0
    if rule.max is not None:
        assert pause <= rule.max * (1 + 1e-12)
    plain = Backoff(kind=rule.kind, seconds=rule.seconds)
    base = backoff.pause(plain, failures, run)
    assert pause <= base * (1 + rule.jitter) * (1 + 1e-12)
    if rule.max is None:
        assert pause >= base


@given(rules, st.integers(1, 100), st.integers(0, 1 << 40))
def test_pauses_never_shrink(rule: Backoff, failures: int, run: int) -> None:
    """For one run, more failures never mean a shorter pause."""
    assert backoff.pause(rule, failures, run) <= backoff.pause(rule, failures + 1, run)


def test_jitter_spreads_processes_that_failed_together() -> None:
    """A hundred runs in a row: no two pauses are alike, and they fill the range evenly."""
    for rule in (exponential(jitter=0.5), exponential(limit=1, jitter=0.5)):
        found = sorted(backoff.pause(rule, 1, run) for run in range(100, 200))
        gaps = [b - a for a, b in pairwise(found)]
        width = found[-1] - found[0]
        assert min(gaps) > 0
        assert max(gaps) < width / 30


def test_the_same_run_has_the_same_pause() -> None:
    """What is announced is what happens."""
    rule = exponential(jitter=1)
    assert backoff.pause(rule, 3, 42) == backoff.pause(rule, 3, 42)


@pytest.mark.parametrize("startretries", [0, 1, 3, 10])
def test_the_last_try(startretries: int) -> None:
    """`startretries` tries more after the first, and no other."""
    definition = program(startretries=startretries)
    assert not backoff.too_many_failures(definition, startretries)
    assert backoff.too_many_failures(definition, startretries + 1)


def test_a_restart_counts_for_the_length_of_the_window() -> None:
    """It is forgotten the moment the window has passed, not later."""
    limit = at_most(2, 60)
    assert backoff.recent(limit, (0.0, 10.0, 30.0), 59.9) == (0.0, 10.0, 30.0)
    assert backoff.recent(limit, (0.0, 10.0, 30.0), 60.0) == (10.0, 30.0)
    assert backoff.recent(limit, (0.0, 10.0, 30.0), 1000.0) == ()


def test_the_budget() -> None:
    """No limit is never used up; a limit is when the window holds as many restarts."""
    assert not backoff.budget_spent(None, tuple(map(float, range(99))), 99.0)
    limit = at_most(2, 60)
    assert not backoff.budget_spent(limit, (), 0.0)
    assert not backoff.budget_spent(limit, (5.0,), 10.0)
    assert backoff.budget_spent(limit, (5.0, 6.0), 10.0)
    assert not backoff.budget_spent(limit, (5.0, 6.0), 65.0)
