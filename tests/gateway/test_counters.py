"""Counters of the metrics: what is told never falls."""

from __future__ import annotations

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from supervisor_lite.gateway.counters import Counters
from supervisor_lite.gateway.daemon import Daemon
from supervisor_lite.gateway.hub import Hub
from supervisor_lite.gateway.metrics import Metrics

KEY = ("cpu", "web")


def test_runs_are_added_up() -> None:
    counters = Counters()
    assert counters.total(KEY) == 0
    seen = [(1, 2.0), (1, 5.0), (2, 1.0), (2, 3.0)]
    assert [counters.add(KEY, run, cpu) for run, cpu in seen] == [2.0, 5.0, 6.0, 8.0]
    assert counters.total(KEY) == 8.0
    counters.keep({"other"})
    assert counters.total(KEY) == 0


def test_a_source_that_begins_anew_is_told_from_one_that_may_fall() -> None:
    counters = Counters()
    assert [counters.add(("lines", ""), 1, value) for value in (7, 2, 3)] == [7, 9, 10]
    assert [counters.add(KEY, 1, value, may_fall=True) for value in (7, 2, 8)] == [7, 7, 8]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 50))), st.booleans())
def test_a_total_never_falls(values: list[tuple[int, int]], may_fall: bool) -> None:
    counters = Counters()
    totals = [counters.add(KEY, source, value, may_fall=may_fall) for source, value in values]
    assert totals == sorted(totals)


def test_a_listener_of_no_use_is_in_the_metrics() -> None:
    """Whether it is, and what it rejects in all its runs; nothing without a listener."""
    metrics = Metrics(cast(Daemon, None), cast(Hub, None))

    def told(run: int, rejected: int, trouble: object) -> str:
        listener = {"trouble": trouble, "rejected": rejected, "dropped": 7, "waiting": 1}
        row = {"name": "a", "group": "g", "fullname": "g:a", "run": run, "listener": listener}
        web = {"name": "web", "group": "web", "fullname": "web", "run": 9, "listener": None}
        return "".join(metrics._listeners([row, web], 1))

    assert 'supervisor_lite_listener_trouble{name="a",group="g"} 0\n' in told(1, 2, None)
    text = told(2, 3, {"kind": "events_rejected", "number": 3})
    for line in (
        'listener_trouble{name="a",group="g"} 1',
        'listener_rejected_events_total{name="a",group="g"} 5',
        'listener_dropped_events_total{name="a",group="g"} 7',
        'listener_waiting_events{name="a",group="g"} 1',
    ):
        assert f"supervisor_lite_{line}" in text
    assert metrics._listeners([{"fullname": "web", "listener": None}], 1) == []
