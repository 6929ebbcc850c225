"""Would a new configuration take away what nobody meant to take away?

A directory of programs that is empty, or not mounted, looks like one from which all of them were
removed. That is asked about before anything is stopped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from supervisor_lite.model.plan import Plan
from supervisor_lite.model.sources import Include
from supervisor_lite.rules.plan_diff import Difference


class PlanLoss(NamedTuple):
    """What would be lost."""

    removed: tuple[str, ...]
    """The groups that would be stopped and removed."""
    patterns: tuple[str, ...] = ()
    """Those that matched files before and match none now, as absolute paths."""


def loss(
    before: Iterable[Include], now: Iterable[Include], diff: Difference, wanted: Plan
) -> PlanLoss | None:
    """Return what has to be confirmed; None if nothing.

    That is where something would be removed, and a pattern that matched something matches nothing,
    or nothing at all would be left. A pattern that is not in the configuration any more was taken
    out by somebody.
    """
    if not diff.removed:
        return None
    matched = {each.path: bool(each.files) for each in now}
    vanished = tuple(each.path for each in before if each.files and matched.get(each.path) is False)
    removed = diff.groups_removed or tuple(sorted({p.group or p.name for p in diff.removed}))
    if not vanished and any(True for _ in wanted.processes()):
        return None
    return PlanLoss(removed, vanished)
