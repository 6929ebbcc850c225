"""Events and actions are named tuples, and yet each is only what it is."""

from __future__ import annotations

from itertools import permutations
from typing import get_args

import pytest

from supervisor_lite.errors import SpawnErrorCode
from supervisor_lite.model.actions import Action, Signal, SignalLeftovers, Spawn
from supervisor_lite.model.cause import Cause, CauseKind, SpawnFailure
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

EVENTS = (
    StartAsked("ann"), StopAsked("ann"), StopAnnounced("ann"), RestartAsked("ann"),
    Faulted(Cause(CauseKind.STATE_LOST)), KillAsked(), Spawned(7, 8),
    SpawnFailed(7, SpawnFailure(SpawnErrorCode.OTHER, "x")), Exited(7, Exit(0)), LeftoversGone(7),
    DeadlinePassed(), MainReplaced(7, 8),
)  # fmt: skip
ACTIONS = (Spawn(), Signal("TERM", False), SignalLeftovers("TERM"))


def test_these_are_all() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))
    assert {type(action) for action in ACTIONS} == set(get_args(Action))


@pytest.mark.parametrize("value", EVENTS + ACTIONS, ids=lambda value: type(value).__name__)
def test_each_is_true_and_equal_to_its_like(value: Event | Action) -> None:
    """Also those without a field: an empty tuple is false."""
    assert value
    assert value == type(value)(*value)
    assert (value != type(value)(*value)) is False
    assert hash(value) == hash(type(value)(*value))
    assert value not in (tuple(value), None)


def test_none_is_equal_to_one_of_another_class() -> None:
    """Whatever they hold."""
    same = [StartAsked("ann"), StartAsked("ann")._replace(by="bob")]
    assert same[0] != same[1]
    for one, other in permutations(EVENTS + ACTIONS, 2):
        assert one != other
    assert LeftoversGone(7) != Spawned(7, None)  # type: ignore[arg-type]
    assert len({KillAsked(), DeadlinePassed(), Spawn()}) == 3


def test_they_can_be_matched_by_their_fields() -> None:
    match Spawned(7, 8):
        case Spawned(run, pid):
            assert (run, pid) == (7, 8)
