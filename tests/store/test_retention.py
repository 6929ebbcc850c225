"""What is too old goes, by a clock that a wrong wall clock cannot hurry."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor_lite.store.history_clock import HistoryClock
from supervisor_lite.store.journal import Journal, open_journal
from tests.store.test_journal import DAY, changed, ran

NOW = 1_700_000_000.0
YEAR = 365 * DAY


class Time:
    """A wall clock that can be wrong, and the time that really passes."""

    def __init__(self) -> None:
        self.passed = 1000.0
        self.wrong = 0.0

    def wall(self) -> float:
        return NOW + self.passed - 1000.0 + self.wrong

    def real(self) -> float:
        return self.passed


def opened(path: Path, time: Time, *, days: float = 30) -> Journal:
    journal = open_journal(
        str(path / "journal.db"), lambda text: None, now=time.wall, passed=time.real
    )
    journal.set_retention(age=days * DAY, count=1000)
    return journal


def fill(path: Path, time: Time) -> None:
    """Have a history of ten changes and runs in ten days."""
    journal = opened(path, time)
    for _ in range(10):
        changed(journal, time=time.wall())
        ran(journal)
        time.passed += DAY
    journal.set_retention(age=30 * DAY, count=1000)
    journal.close()


def kept(journal: Journal) -> tuple[int, int]:
    history = journal.history
    return len(history.changes(limit=1000)), len(history.runs(None, 1000))


@pytest.mark.parametrize("starts", [1, 40])
def test_a_clock_that_is_a_year_ahead_deletes_nothing(tmp_path: Path, starts: int) -> None:
    """However often a daemon starts with it, and when it is right again."""
    time = Time()
    fill(tmp_path, time)
    time.wrong = YEAR
    for _ in range(starts):
        journal = opened(tmp_path, time)
        changed(journal, time=time.wall())
        time.passed += 60
        journal.close()
    time.wrong = 0
    assert kept(opened(tmp_path, time)) == (10 + starts, 10)


def test_a_clock_that_jumps_while_a_daemon_runs_deletes_nothing(tmp_path: Path) -> None:
    time = Time()
    fill(tmp_path, time)
    journal = opened(tmp_path, time)
    time.wrong = YEAR
    for _ in range(600):
        changed(journal, time=time.wall())
        journal.commit()
        time.passed += 1
    assert kept(journal) == (610, 10)


def test_a_journal_of_an_earlier_version_ages_from_its_latest_entry(tmp_path: Path) -> None:
    """It does not say how late it is: that is told by what is in it."""
    time = Time()
    fill(tmp_path, time)
    journal = open_journal(str(tmp_path / "journal.db"), lambda text: None)
    journal._database.write("DELETE FROM meta WHERE key = 'history_clock'")
    journal.close()
    time.wrong = YEAR
    assert kept(opened(tmp_path, time)) == (10, 10)


def test_time_without_a_daemon_is_made_up_for(tmp_path: Path) -> None:
    """Off for 40 days, everything is too old 40 days later at the latest."""
    time = Time()
    fill(tmp_path, time)
    time.passed += 40 * DAY
    journal = opened(tmp_path, time)
    assert kept(journal) == (10, 10)
    time.passed += 19 * DAY
    journal.set_retention(age=30 * DAY, count=1000)
    journal.close()
    journal = opened(tmp_path, time)
    time.passed += 22 * DAY
    assert kept(journal)[0] == 10
    for _ in range(300):
        changed(journal, time=time.wall())
        journal.commit()
    assert kept(journal) == (300, 0)


@pytest.mark.parametrize("value", ["", "soon", "nan", "-1", "1e400"])
def test_a_clock_that_makes_no_sense_is_no_error(tmp_path: Path, value: str) -> None:
    time = Time()
    fill(tmp_path, time)
    journal = open_journal(str(tmp_path / "journal.db"), lambda text: None)
    journal._database.write("UPDATE meta SET value = ? WHERE key = 'history_clock'", (value,))
    journal.close()
    assert kept(opened(tmp_path, time)) == (10, 10)


@given(
    stood=st.floats(-1e9, 4e9),
    steps=st.lists(st.tuples(st.floats(0, 1e8), st.floats(-1e9, 1e9))),
)
def test_it_goes_at_most_twice_as_fast_as_time(
    stood: float, steps: list[tuple[float, float]]
) -> None:
    """And is never ahead of the wall clock, whatever that does."""
    wall, passed = NOW, 5.0
    clock = HistoryClock(stood, lambda: wall, lambda: passed)
    first = clock.now()
    for step, jump in steps:
        passed += step
        wall = max(0.0, wall + step + jump)
        assert clock.now() <= min(wall, first + 2 * (passed - 5.0) + 1e-3)
