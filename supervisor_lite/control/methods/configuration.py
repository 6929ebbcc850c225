"""The methods about the configuration: reread, update, add, remove, avail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

from supervisor_lite.control.jsonrpc import Result
from supervisor_lite.control.patience import Patience
from supervisor_lite.control.request import Methods, Request
from supervisor_lite.controllers.rollout import Rollout
from supervisor_lite.core.process import Process
from supervisor_lite.errors import NoSuchGroup, OperationFailed
from supervisor_lite.explain.pending_settings import notes
from supervisor_lite.protocol.codes import ErrorCode, ResultCode
from supervisor_lite.rules.plan_diff import GroupChange

method = Methods()


class ConfigurationMethods:
    """Reads the configuration, and brings into force what it says."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout

    @method("reread")
    def reread(self, request: Request) -> Result:
        """Read the configuration and answer what `update` would do."""
        request.params.done()
        request.require()
        diff = self._rollout.reread()
        return {
            "added": list(diff.groups_added),
            "changed": list(diff.groups_changed),
            "removed": list(diff.groups_removed),
            "warnings": list(self._rollout.disk.warnings),
            **pending_fields(self._rollout),
        }

    @method("update")
    async def update(self, request: Request) -> Result:
        """Read the configuration and make it true; done when all that it has started is up."""
        names = request.params.names(required=False)
        yes, patience = request.params.flag("yes", False), Patience(request.params)
        request.params.done()
        request.require()
        by = request.by(*names)
        # It goes on if the client hangs up.
        job = asyncio.ensure_future(self._rollout.update(names, by, yes=yes))
        applied = await patience.result(job, "update")
        not_up = await patience.not_up(self._rollout, applied.started)
        return {
            "results": [*map(_change_row, applied.changes), *not_up],
            **warning_fields(self._rollout),
            **pending_fields(self._rollout),
        }

    @method("add")
    async def add(self, request: Request) -> Result:
        """Bring groups into force that were read but are not active; done when they are up."""
        names = request.params.names(required=True)
        patience = Patience(request.params)
        request.params.done()
        request.require()
        _require_groups(names, {**self._rollout.available.groups, **self._rollout.active.groups})
        results: list[dict[str, Any]] = []
        started: list[Process] = []

        async def add(name: str) -> None:
            started.extend(await self._rollout.add(name, request.by(name)))

        for name in names:
            results.append(await _group_result(name, ResultCode.ADDED, add(name)))
        return {"results": [*results, *await patience.not_up(self._rollout, started)]}

    @method("remove")
    async def remove(self, request: Request) -> Result:
        """Take groups out of force whose processes are down."""
        names = request.params.names(required=True)
        request.params.done()
        request.require()
        _require_groups(names, self._rollout.active.groups)
        results = []
        for name in names:
            removing = self._rollout.remove(name, request.by(name))
            results.append(await _group_result(name, ResultCode.REMOVED, removing))
        return {"results": results}

    @method("avail")
    def avail(self, request: Request) -> Result:
        """Answer what the configuration defines, in force or not."""
        request.params.done()
        plan, active = self._rollout.available, self._rollout.active
        rows = [
            {
                "name": program.name,
                "group": group.name,
                "fullname": program.fullname,
                "in_use": group.name in active.groups,
                "autostart": program.autostart,
                "group_priority": group.priority,
                "priority": program.priority,
            }
            for _, group in sorted(plan.groups.items())
            for program in group.processes
            if request.connection.sees(request.method, program.fullname)
        ]
        return {"processes": rows}


def _change_row(change: GroupChange) -> dict[str, Any]:
    """Return what was done with a group, and with which of its processes."""
    return {
        "name": change.name, "ok": True, "result": change.result, "code": change.result,
        "added": list(change.added), "removed": list(change.removed),
        "restarted": list(change.restarted), "in_place": list(change.in_place),
    }  # fmt: skip


def warning_fields(rollout: Rollout) -> dict[str, list[str]]:
    """Return what was read last and is probably not meant."""
    warnings = rollout.disk.warnings
    return {"warnings": list(warnings)} if warnings else {}


def pending_fields(rollout: Rollout) -> dict[str, list[str]]:
    """Return what was read last and is not in force before there is another daemon."""
    names = rollout.disk.pending_settings
    return {"daemon": list(names), "notes": list(notes(names))} if names else {}


def refused_fields(rollout: Rollout, request: Request) -> dict[str, list[str]]:
    """Return what is wrong with the configuration on disk; in detail for who may read that."""
    if not rollout.disk.refused:
        return {}
    if request.connection.granted.may("reread", None):
        return {"refused": list(rollout.disk.refused)}
    return {"refused": ["the configuration on disk cannot be used"]}


def _require_groups(names: list[str], known: Mapping[str, object]) -> None:
    unknown = sorted({name for name in names if name not in known})
    if unknown:
        raise NoSuchGroup(unknown)


async def _group_result(name: str, code: str, doing: Awaitable[None]) -> dict[str, Any]:
    fields = {"name": name, "group": name, "fullname": name}
    try:
        await doing
    except (OperationFailed, NoSuchGroup) as error:
        why = {"reason": str(error), "code": error.code}
        return {**fields, "ok": False, "result": ErrorCode.FAILED, **why}
    return {**fields, "ok": True, "result": code, "reason": "", "code": code}
