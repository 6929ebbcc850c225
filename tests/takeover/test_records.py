"""What a later daemon makes of the record that an earlier one has written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import ALIVE, State
from supervisor_lite.takeover.records import of_live_run, of_no_live_run
from tests.store.strategies import values_of

RECORDS = values_of(Record)
WEB = Program("web", ("web",), startsecs=3.0)


@given(RECORDS, st.integers(1), st.integers(1))
def test_a_run_that_was_written_goes_on_as_it_was(record: Record, run: int, pid: int) -> None:
    """In its state, with its deadline."""
    written = record._replace(run=run, pid=pid)
    assert of_live_run(written, WEB, run=run, pid=pid, spawned=5.0) is written


@given(RECORDS, st.integers(1), st.integers(1))
def test_a_run_of_which_nothing_more_was_written_has_just_begun(
    record: Record, run: int, pid: int
) -> None:
    """Since it was spawned, whatever was to be done about the run before; failures still count."""
    if (record.run, record.pid) == (run, pid):
        return
    found = of_live_run(record, WEB, run=run, pid=pid, spawned=5.0)
    assert found.state is State.STARTING
    assert found.state in ALIVE
    assert (found.run, found.pid, found.wanted) == (run, pid, True)
    assert (found.spawned, found.deadline) == (5.0, 8.0)
    flags = (found.leftovers, found.killed, found.kill_now, found.cooling, found.asked)
    assert not any(flags)
    assert (found.due, found.error, found.notes) == (None, None, ())
    assert (found.failures, found.restarts, found.exit) == (
        record.failures, record.restarts, record.exit,
    )  # fmt: skip


@given(RECORDS)
def test_a_spawn_that_did_not_happen_is_asked_for_again(record: Record) -> None:
    """At once; every other record waits for its end to be answered, or for its deadline."""
    found = of_no_live_run(record, 5.0)
    if record.state is State.STARTING and record.pid is None:
        assert (found.state, found.asked, found.deadline) == (State.STOPPED, True, 5.0)
        assert found._replace(
            state=record.state, asked=record.asked, deadline=record.deadline
        ) == record  # fmt: skip
    else:
        assert found is record
