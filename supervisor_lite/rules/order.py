"""Who goes first: waves of equal priority."""

from __future__ import annotations

from collections import Counter
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
    wait for the one before it to be RUNNING. In a wave they are in the order of the names of their
    groups, and in a group as its `programs` lists them.
    """
    some = tuple(programs)
    places = _places(some, groups)

    def turn(program: Program) -> tuple[tuple[int, int], str, int, str]:
        name, group = program.fullname, program.group or program.name
        return _key(groups, program), group, places.get(name, len(places)), name

    ordered = sorted(some, key=turn)
    return [tuple(wave) for _, wave in groupby(ordered, lambda p: _key(groups, p))]


def _places(programs: tuple[Program, ...], groups: Mapping[str, Group]) -> dict[str, int]:
    """Return the place of each process in its group, for groups of which there are several."""
    names = [program.group or program.name for program in programs]
    several = {name for name, count in Counter(names).items() if count > 1 and name in groups}
    return {
        process.fullname: place
        for name in several
        for place, process in enumerate(groups[name].processes)
    }


def stop_waves(
    programs: Iterable[Program], groups: Mapping[str, Group]
) -> list[tuple[Program, ...]]:
    """Return the processes by descending priority; a wave starts when the one before is gone."""
    return start_waves(programs, groups)[::-1]
