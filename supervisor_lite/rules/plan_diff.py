"""What has to change to get from one plan to another: old plan × new plan -> difference."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from supervisor_lite.errors import NoSuchGroup
from supervisor_lite.model.plan import Group, Plan
from supervisor_lite.model.program import Program


class Difference(NamedTuple):
    """The groups and processes that differ; everything else is not to be touched."""

    groups_added: tuple[str, ...] = ()
    groups_changed: tuple[str, ...] = ()
    groups_removed: tuple[str, ...] = ()
    added: tuple[Program, ...] = ()
    changed: tuple[Program, ...] = ()
    """The new definitions."""
    removed: tuple[Program, ...] = ()
    """The old definitions."""

    def __bool__(self) -> bool:
        return bool(self.groups_added or self.groups_changed or self.groups_removed)


def difference(old: Plan, new: Plan) -> Difference:
    """Return what must be done to make `new` true where `old` is."""
    added = tuple(sorted(new.groups.keys() - old.groups.keys()))
    removed = tuple(sorted(old.groups.keys() - new.groups.keys()))
    changed = tuple(
        name
        for name in sorted(old.groups.keys() & new.groups.keys())
        if old.groups[name] != new.groups[name]
    )
    before = {program.fullname: program for program in old.processes()}
    after = {program.fullname: program for program in new.processes()}
    return Difference(
        groups_added=added,
        groups_changed=changed,
        groups_removed=removed,
        added=tuple(p for name, p in after.items() if name not in before),
        changed=tuple(p for name, p in after.items() if name in before and before[name] != p),
        removed=tuple(p for name, p in before.items() if name not in after),
    )


class GroupChange(NamedTuple):
    """What has become of one group, and of which of its processes."""

    name: str
    result: str
    """added, changed, removed or stopped."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    """Those that have changed and were started anew."""
    in_place: tuple[str, ...] = ()
    """Those that have changed and run on as they were."""


def group_changes(
    diff: Difference, down: Collection[str], restarted: Collection[str]
) -> list[GroupChange]:
    """Return what was done, in the order of doing.

    `down`: groups of which something was up when they were removed; `restarted`: processes.
    """
    added, removed = _by_group(diff.added), _by_group(diff.removed)
    anew = _by_group(p for p in diff.changed if p.fullname in restarted)
    in_place = _by_group(p for p in diff.changed if p.fullname not in restarted)
    changes: list[GroupChange] = []
    for name in diff.groups_removed:
        if name in down:
            changes.append(GroupChange(name, "stopped"))
        changes.append(GroupChange(name, "removed", removed=removed.get(name, ())))
    for name in diff.groups_changed:
        of = [found.get(name, ()) for found in (added, removed, anew, in_place)]
        changes.append(GroupChange(name, "changed", *of))
    for name in diff.groups_added:
        changes.append(GroupChange(name, "added", added=added.get(name, ())))
    return changes


def _by_group(programs: Iterable[Program]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for program in programs:
        name = program.group or program.name
        found[name] = (*found.get(name, ()), program.fullname)
    return found


def target(active: Plan, available: Plan, names: Collection[str]) -> Plan:
    """Return what is to be in force when these groups are updated, without names or by `all` all.

    Raises NoSuchGroup.
    """
    if not names or "all" in names:
        return available
    old, new = active.groups, available.groups
    unknown = sorted(name for name in names if name not in old and name not in new)
    if unknown:
        raise NoSuchGroup(unknown)
    kept = without_groups(active, names)
    return with_groups(kept, (new[name] for name in names if name in new))


def with_groups(plan: Plan, groups: Iterable[Group]) -> Plan:
    """Return the plan with these groups added or replaced."""
    return Plan(groups={**plan.groups, **{group.name: group for group in groups}})


def without_groups(plan: Plan, names: Iterable[str]) -> Plan:
    """Return the plan without these groups."""
    gone = set(names)
    return Plan(groups={name: group for name, group in plan.groups.items() if name not in gone})
