"""The promises of the rules, held against every record that can be reached."""

from __future__ import annotations

import inspect

import pytest

from supervisor_lite.model.actions import Action
from supervisor_lite.model.events import Event
from supervisor_lite.model.restart import AutoRestart, BackoffKind
from supervisor_lite.model.states import State
from tests.rules import promises_of_records, promises_of_steps
from tests.rules.moment import WAYS
from tests.rules.promises_of_records import OF_RECORDS
from tests.rules.promises_of_steps import OF_SPAWNS, OF_STEPS
from tests.rules.walk import PROGRAMS, Edge, Walk, walked

SMALL = ("defaults", "up at once", "one try, no patience", "limited, sliding")
"""Programs that together go everywhere."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_promise_holds(name: str) -> None:
    """Whatever happens to a process, in whatever order: no promise is broken."""
    result = walked(name)
    assert not result.faults, "\n".join(map(str, result.faults))
    assert len(result.nodes) > 100


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("defaults", "one try, no patience"),
        ("one try, no patience", "hardly cooling"),
        ("hardly cooling", "limited, sliding"),
        ("limited, sliding", "defaults"),
    ],
)
def test_a_new_definition_leaves_nothing_stuck(old: str, new: str) -> None:
    """Whatever a process is in the middle of when its definition changes: it leads out."""
    nodes, walk = walked(old).nodes, Walk(PROGRAMS[new])
    assert len(nodes) > 100
    assert {walk.stuck(node) for node in nodes} == {""}


@pytest.fixture(scope="module")
def edges() -> frozenset[Edge]:
    """Every kind of step."""
    return frozenset().union(*(walked(name).edges for name in SMALL))


def test_the_walk_goes_everywhere(edges: frozenset[Edge]) -> None:
    """Every state is reached, every arrow is used, every event happens, every action is asked."""
    ways = {(edge.start, edge.end) for edge in edges if edge.start is not edge.end}
    assert ways == {(start, end) for start, ends in WAYS.items() for end in ends}
    assert {edge.end for edge in edges} == set(State)
    assert {edge.event for edge in edges} == {kind.__name__ for kind in Event.__args__}
    actions = {action for edge in edges for action in edge.actions}
    assert actions == {kind.__name__ for kind in Action.__args__}


def test_every_event_happens_in_every_state(edges: frozenset[Edge]) -> None:
    """Also the senseless ones: old news, early deadlines. Only the answers need a question."""
    answers = {"Spawned", "SpawnFailed"}
    events = {kind.__name__ for kind in Event.__args__} - answers
    seen = {(edge.start, edge.event) for edge in edges}
    assert seen >= {(state, event) for state in State for event in events}


def test_no_promise_is_forgotten() -> None:
    """Each function that judges a moment is in one of the tables."""
    judges = {
        function
        for module in (promises_of_records, promises_of_steps)
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if list(inspect.get_annotations(function).values()) == ["Moment", "bool"]
    }
    assert judges == {*OF_RECORDS, *OF_STEPS, *OF_SPAWNS}
    assert all(rule.__doc__ for rule in judges)


def test_the_programs_cover_the_options() -> None:
    """Every kind of policy is walked."""
    programs = PROGRAMS.values()
    assert {p.autorestart for p in programs} == set(AutoRestart)
    assert {p.backoff.kind for p in programs} == set(BackoffKind)
    assert {p.startretries for p in programs} >= {0, 1, 3}
    assert {p.startsecs for p in programs} >= {0, 1}
    assert {p.stopwaitsecs for p in programs} >= {0, 5, 10}
    both = {(p.stopasgroup, p.killasgroup) for p in programs}
    assert both == {(a, b) for a in (True, False) for b in (True, False)}
    limits = [p.restart_limit for p in programs]
    assert {limit.cooldown is None for limit in limits if limit} == {True, False}
    assert None in limits
