"""Tries without an end are not counted to a million."""

from __future__ import annotations

from supervisor_lite.explain.policy import on_failed_start
from supervisor_lite.explain.reason import reason
from supervisor_lite.explain.tries import NO_END, of_all
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import State

SOME = Program("web", ("x",), startretries=3)
ENDLESS = SOME._replace(startretries=NO_END)


def test_tries_are_counted_to_an_end_that_somebody_sees() -> None:
    assert (of_all(SOME), of_all(ENDLESS)) == (" of 4", "")
    failing = Record(state=State.BACKOFF, failures=2, wanted=True, deadline=9.0)
    assert "try 3 of 4" in reason(SOME, failing)
    assert "try 3" in reason(ENDLESS, failing)
    assert " of " not in reason(ENDLESS, failing)


def test_what_is_never_fatal_is_not_said_to_be() -> None:
    (line,) = on_failed_start(ENDLESS)
    assert "tried again without an end" in line
    assert "FATAL" not in line
