"""How a run ended, as the journal keeps it for the next daemon."""

from __future__ import annotations

import json

import pytest

from supervisor_lite.model.exit import Exit
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import State
from supervisor_lite.store.codec import record_from_json, record_to_json


@pytest.mark.parametrize(
    "how",
    [
        None,
        Exit(),
        Exit(3),
        Exit(signal="SIGSEGV", core=True),
        Exit(signal="SIGKILL", why="out of memory (memory_max 64MB)"),
    ],
)
def test_it_is_read_as_it_was_written(how: Exit | None) -> None:
    """With everything that was known of it."""
    record = Record(state=State.EXITED, exit=how)
    text = json.dumps(record_to_json(record))
    assert record_from_json(json.loads(text)) == record


def test_what_is_not_known_takes_no_part() -> None:
    """A version that knows nothing of reasons can read all that has none."""
    values = record_to_json(Record(state=State.EXITED, exit=Exit(3)))
    assert values["exit"] == [3, None, False]
    assert str(record_from_json(values).exit) == "exit 3"


def test_the_reason_of_a_kill_is_told() -> None:
    """After the signal."""
    assert str(Exit(signal="SIGKILL", why="out of memory")) == "killed by SIGKILL: out of memory"
    assert str(Exit(signal="SIGBUS", core=True)) == "killed by SIGBUS (core dumped)"
