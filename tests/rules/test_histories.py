"""The rules, told as histories, on a stage with a clock that jumps."""

from __future__ import annotations

import pytest

from supervisor_lite.model.restart import BackoffKind
from supervisor_lite.model.states import State
from tests.rules.histories import HISTORIES
from tests.rules.history import History
from tests.rules.machine import REAL, START, Machine
from tests.rules.stage import Stage


def played(history: History, machine: Machine = REAL, *, check: bool = True) -> list[str]:
    """Play a history and return what was seen."""
    stage = Stage(history.program, history.runs, machine=machine, check=check)
    for at, event in {0: START, **history.asks}.items():
        stage.ask(event, at)
    stage.play(history.until)
    return stage.seen


@pytest.mark.parametrize("history", HISTORIES, ids=[history.name for history in HISTORIES])
def test_history(history: History) -> None:
    assert played(history) == history.lines()


def test_histories_have_names_of_their_own() -> None:
    """A history is found by its sentence."""
    assert len({history.name for history in HISTORIES}) == len(HISTORIES)


def test_histories_show_every_state_and_every_backoff() -> None:
    """Nothing that the rules know is missing from the histories."""
    shown = {line.split()[1] for history in HISTORIES for line in history.lines()}
    assert shown >= {state.name for state in State}
    assert {history.program.backoff.kind for history in HISTORIES} == set(BackoffKind)
