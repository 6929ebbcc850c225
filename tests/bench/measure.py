"""Samples, what is said about them, and the rows of the table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

BARE = "bare Python"
"""The floor: what the same work costs without a supervisor."""
CAT = "cat > file"
"""The floor of capturing output."""
LITE = "supervisor-lite"
PEER = "Supervisor"
CIRCUS = "circus"
RUNIT = "runit"
S6_NAME = "s6"
DAEMONTOOLS = "daemontools"


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile: the least value that `percent` % do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(percent / 100 * len(ordered)), 1) - 1]


def number(value: float) -> str:
    """Return three digits that say something."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.{2 - math.floor(math.log10(abs(value)))}f}" if abs(value) < 100 else ""


@dataclass(slots=True)
class Series:
    """Samples of one thing of one contender, in the unit of its metric."""

    values: list[float] = field(default_factory=list)
    note: str = ""
    """What the reader has to know about this cell, such as why there are no samples."""

    @property
    def median(self) -> float:
        """The middle of the samples; not a number without any."""
        return statistics.median(self.values) if self.values else math.nan

    def tail(self, percent: float) -> Series:
        """Return a series that holds only this percentile."""
        return Series([percentile(self.values, percent)] if self.values else [], self.note)


@dataclass(frozen=True, slots=True)
class Goal:
    """What our median has to be: `factor` × the one that it is compared with, or a plain value.

    `most` is a bound from above unless `least` is set. `later` is what is aimed at next, in the
    same terms.
    """

    bound: float
    beside: str = ""
    """The contender that is compared with; empty for a plain value in the metric's unit."""
    least: bool = False
    later: str = ""

    def __str__(self) -> str:
        sign = "≥" if self.least else "≤"
        return f"{sign} {self.bound:g}" + (f" × {self.beside}" if self.beside else "")


@dataclass(slots=True)
class Metric:
    """One row: a series per contender."""

    name: str
    unit: str
    goal: Goal | None = None
    series: dict[str, Series] = field(default_factory=dict)

    def of(self, contender: str) -> Series:
        """Return the series of a contender, begun if there is none."""
        return self.series.setdefault(contender, Series())

    def add(self, contender: str, value: float) -> None:
        """Take one sample."""
        self.of(contender).values.append(value)

    def ratio(self, beside: str) -> float:
        """Return our median divided by that of another contender; not a number if unknown."""
        other = self.series.get(beside, Series()).median
        return self.of(LITE).median / other if other else math.nan

    def is_met(self) -> bool | None:
        """Tell whether the goal is reached; None without a goal or without samples."""
        goal = self.goal
        if goal is None:
            return None
        reached = self.ratio(goal.beside) if goal.beside else self.of(LITE).median
        if math.isnan(reached):
            return None
        return reached >= goal.bound if goal.least else reached <= goal.bound
