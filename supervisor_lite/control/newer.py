"""What a caller should know of a configuration on disk that is newer than what runs.

The files are looked at when somebody asks for a start, or for a name that is not known; they are
read only if one of them has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from supervisor_lite.control.methods.configuration import refused_fields
from supervisor_lite.control.request import Request
from supervisor_lite.controllers.rollout import Rollout
from supervisor_lite.core.process import Process
from supervisor_lite.errors import ConfigError
from supervisor_lite.rules.plan_diff import Difference


def newer_fields(
    rollout: Rollout, processes: Iterable[Process], request: Request
) -> dict[str, Any]:
    """Return the field `newer` of an answer about these processes; {} if there is nothing to say.

    `groups` of them have another definition on disk, `others` are what `update` would change as
    well, and `refused` says why nothing of it can be used.
    """
    diff, changed = Difference(), rollout.disk.has_changed()
    if changed:
        try:
            diff = rollout.reread()
        except ConfigError:
            return {"newer": {"groups": [], "others": [], "files": [],
                              **refused_fields(rollout, request)}}  # fmt: skip
    outdated = [process for process in processes if process.definition.is_outdated]
    groups = sorted({process.group for process in outdated})
    others = {*diff.groups_added, *diff.groups_changed, *diff.groups_removed}.difference(groups)
    if not groups and not others:
        return {}
    places = rollout.disk.sources.places
    files = {places.get(process.program.program or process.program.name) for process in outdated}
    found = sorted(file for file in files if file is not None)
    return {"newer": {"groups": groups, "others": sorted(others), "files": found}}


def defined_on_disk(rollout: Rollout, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return which of these names, that mean no process, the configuration on disk defines.

    For each its `group`, which `update` takes into use, and the `file`.
    """
    if rollout.disk.has_changed():
        try:
            rollout.reread()
        except ConfigError:
            return {}
    found: dict[str, dict[str, str]] = {}
    wanted = set(names)
    for program in rollout.available.processes():
        of = program.program or program.name
        group = program.group or program.name
        called = (program.fullname, group, of, program.name, f"{group}:*", f"{group}:{of}")
        for name in wanted.intersection(called):
            file = rollout.disk.sources.places.get(of, "")
            found.setdefault(name, {"group": group, "file": file})
    return found
