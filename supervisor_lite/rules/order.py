"""Who goes first: waves of equal priority."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from supervisor_lite.model.plan import Group
from supervisor_lite.model.program import Program


def _key(groups: Mapping[str, Group], program: Program) -> tuple[int, int]:
    group = groups.get(program.group or program.name)
    return (group.priority if group else program.priority, program.priority)


def start_waves(
    programs: Iterable[Program], groups: Mapping[str, Group]
) -> list[tuple[Program, ...]]:
    """Return the processes by ascending priority of group, then of program.

    Processes of one wave have equal priorities and are started at the same time; a wave does not
    wait for the one before it to be RUNNING.
    """

    def by_name(program: Program) -> tuple[tuple[int, int], str]:
        return _key(groups, program), program.fullname

    ordered = sorted(programs, key=by_name)
    return [tuple(wave) for _, wave in groupby(ordered, lambda p: _key(groups, p))]


def stop_waves(
    programs: Iterable[Program], groups: Mapping[str, Group]
) -> list[tuple[Program, ...]]:
    """Return the processes by descending priority; a wave starts when the one before is gone."""
    return start_waves(programs, groups)[::-1]
