"""A history: what an operator would see, second by second, for a documented rule.

It is a program, how its runs turn out, what is asked when, and the lines that follow: the time,
then the state that was entered or the signal that was sent. Unless it says otherwise, the program
is started at 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor_lite.model.events import Event
from supervisor_lite.model.program import Program
from tests.rules.stage import DEAF, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A sentence that a user would understand, and what happens."""

    name: str
    program: Program
    runs: tuple[Run, ...] = (Run(),)
    asks: Mapping[float, Event] = field(default_factory=dict)
    until: float = 100
    expected: str

    def lines(self) -> list[str]:
        """Return what is to be seen."""
        return [line.strip() for line in self.expected.split("·")]


LIVES = Run()
DIES = Run(lasts=0)
DEAF_RUN = Run(obeys=None)
FAMILY = Run(leaves=2)
DEAF_FAMILY = Run(leaves=DEAF)
"""Named runs: it lives until asked, dies at once, ignores the stop signal; leaves descendants."""
