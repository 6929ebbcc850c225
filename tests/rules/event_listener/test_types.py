"""The names of the events."""

from __future__ import annotations

from supervisor_lite.rules.event_listener.types import MEANINGS, TICKS, expand, timeslice


def test_names_that_mean_others() -> None:
    assert expand(["TICK"]) == {"TICK_5", "TICK_60", "TICK_3600"} == set(TICKS)
    assert len(expand(["PROCESS_STATE"])) == 8
    assert expand(["TICK_5", "PROCESS_GROUP"]) == {
        "TICK_5", "PROCESS_GROUP_ADDED", "PROCESS_GROUP_REMOVED",
    }  # fmt: skip
    assert expand(["EVENT"]) >= expand(name for name in MEANINGS if name != "EVENT")
    assert expand(["REMOTE_COMMUNICATION"]) == {"REMOTE_COMMUNICATION"}


def test_slices_of_time_are_those_of_the_clock() -> None:
    assert [timeslice("TICK_3600", now) for now in (0, 3599.9, 3600)] == [0, 0, 3600]
