"""What must be true of every step of every program: the promises of the rules.

Each is a function that looks at one Moment, a step together with what was really so before and
after it, and says whether it holds. Its docstring is the promise; docs/lifecycle.md lists them.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.rules.moment import Moment
from tests.rules.promises_of_records import OF_RECORDS
from tests.rules.promises_of_steps import OF_SPAWNS, OF_STEPS


def broken(moment: Moment) -> Iterator[str]:
    """Yield the names of the rules that this step breaks."""
    rules = OF_STEPS
    if moment.after is not moment.before or moment.later is not moment.truth:
        rules += OF_RECORDS
    if moment.spawns:
        rules += OF_SPAWNS
    for rule in rules:
        if not rule(moment):
            yield rule.__name__
