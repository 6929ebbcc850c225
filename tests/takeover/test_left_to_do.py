"""What is left to do of operations that were cut short, and the rows that tell of them."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from supervisor_lite.core.unfinished import Unfinished
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.operation import Operation, OperationKind
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.run import StoredProcess
from supervisor_lite.model.states import State
from supervisor_lite.store.journal import Journal, open_journal
from supervisor_lite.takeover.left_to_do import left_to_do

DONE = Exit(code=0)
SHUTDOWN = Operation(OperationKind.SHUTDOWN, "ann", wanted=("web", "db"), ended=("job",))
STOP = Operation(OperationKind.STOP, "ann", ("web", "db"))
RESTART = Operation(OperationKind.RESTART, "ann", ("web", "db"), runs=(7, 0))
RELOAD = Operation(OperationKind.RELOAD, "ann", wanted=("web", "db"))


def stored(name: str, state: State, how: Exit = DONE) -> dict[str, StoredProcess]:
    record = Record(state, exit=how)
    return {name: StoredProcess(name, record, Program(name, (name,)), 1.0, 1.0)}


@pytest.mark.parametrize("state", State)
def test_what_a_shutdown_had_to_stop_is_wanted_unless_it_has_ended_by_itself(state: State) -> None:
    left = left_to_do([("operation:1", SHUTDOWN)], stored("web", state))
    ended = {"web"} if state is State.EXITED else set()
    assert left.wanted == {"web", "db", "job"} - ended
    assert (left.keys, left.again) == (("operation:1",), ())


def test_a_crash_that_nobody_answered_because_of_the_shutdown_is_no_end() -> None:
    crashed = stored("web", State.EXITED, Exit(code=1))
    left = left_to_do([("operation:1", SHUTDOWN)], crashed)
    assert left.wanted == {"web", "db", "job"}


def test_everything_else_is_carried_out_again_in_its_order() -> None:
    pending = [("operation:2", STOP), ("operation:3", SHUTDOWN), ("operation:4", RELOAD)]
    left = left_to_do(pending, {})
    assert left.again == (pending[0], pending[2])
    assert left.keys == ("operation:3",)


def opened(path: Path) -> tuple[Journal, Unfinished]:
    journal = open_journal(str(path / "journal.db"), lambda text: None)

    def flush() -> None:
        journal.commit()

    return journal, Unfinished(journal.operations, flush)


def test_a_row_is_there_from_the_begin_to_the_end(tmp_path: Path) -> None:
    _, operations = opened(tmp_path)
    first, second = operations.begin(STOP), operations.begin(RELOAD)
    later, taken = opened(tmp_path)
    assert later.operations.pending() == [(first, STOP), (second, RELOAD)]
    assert taken.begin(RESTART) not in (first, second)
    operations.end(first)
    assert [each for _, each in later.operations.pending()] == [RELOAD, RESTART]
    later.forget_all()
    assert later.operations.pending() == []


@pytest.mark.parametrize(
    ("operation", "asked", "left"),
    [
        (SHUTDOWN, "stop", SHUTDOWN._replace(wanted=("db",))),
        (SHUTDOWN, "start", SHUTDOWN),
        (STOP, "stop", STOP),
        (STOP, "start", STOP._replace(names=("db",))),
        (RESTART, "stop", RESTART._replace(names=("db",), runs=(0,))),
        (RESTART, "start", RESTART),
        (RELOAD, "stop", RELOAD),
    ],
)
def test_a_wish_that_comes_meanwhile_counts(
    tmp_path: Path, operation: Operation, asked: str, left: Operation
) -> None:
    journal, operations = opened(tmp_path)
    operations.begin(operation)
    (operations.stop_asked if asked == "stop" else operations.start_asked)(["web"])
    assert [each for _, each in journal.operations.pending()] == [left]


def test_what_is_carried_out_again_keeps_its_row(tmp_path: Path) -> None:
    """Killed once more, there is one to finish, and it still knows what was wanted at first."""
    _, operations = opened(tmp_path)
    key = operations.begin(RELOAD)
    journal, again = opened(tmp_path)
    again.inherit(key, RELOAD)
    again.carry_on(key)
    assert again.begin(RELOAD._replace(wanted=("more",))) == key
    assert journal.operations.pending() == [(key, RELOAD._replace(wanted=("web", "db", "more")))]
    assert again.begin(STOP) != key


async def test_two_of_one_kind_keep_a_row_each(tmp_path: Path) -> None:
    """Each is carried on by a task of its own, and finds its own."""
    _, operations = opened(tmp_path)
    other = STOP._replace(names=("mail", "cron"))
    keys = {operations.begin(each): each for each in (STOP, other)}
    journal, again = opened(tmp_path)

    async def carry_on(key: str) -> None:
        again.carry_on(key)
        assert again.begin(keys[key]) == key

    for key, operation in keys.items():
        again.inherit(key, operation)
    await asyncio.gather(*map(carry_on, reversed(keys)))
    assert dict(journal.operations.pending()) == keys


def test_a_wish_about_what_was_inherited_counts(tmp_path: Path) -> None:
    """Also where it goes on in a single step, which needs no row of its own."""
    _, operations = opened(tmp_path)
    key = operations.begin(RESTART)
    journal, again = opened(tmp_path)
    again.inherit(key, RESTART)
    again.stop_asked(["web"])
    assert journal.operations.pending() == [(key, RESTART._replace(names=("db",), runs=(0,)))]


def test_one_that_fails_is_over_and_one_that_is_cancelled_is_not(tmp_path: Path) -> None:
    journal, operations = opened(tmp_path)
    for error in (ValueError(), KeyboardInterrupt()):
        with contextlib.suppress(type(error)), operations.during(STOP):
            assert len(journal.operations.pending()) == 1
            raise error
    assert len(journal.operations.pending()) == 1
