"""Make a new plan true: what is removed, changed, added; everything else is not touched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from supervisor_lite.core.on_disk import ConfigurationOnDisk
from supervisor_lite.core.operations import Operations
from supervisor_lite.core.out_of_use import OutOfUse
from supervisor_lite.core.process import Process
from supervisor_lite.core.starting import start_in_order
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.errors import ConfirmationNeeded, NoSuchGroup, OperationFailed
from supervisor_lite.explain.plan_loss import loss_text
from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.operation import Operation, OperationKind
from supervisor_lite.model.plan import Configuration, Plan
from supervisor_lite.model.record import Record
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.model.states import State
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.rules.plan_diff import (
    Difference,
    GroupChange,
    difference,
    group_changes,
    target,
    with_groups,
    without_groups,
)
from supervisor_lite.rules.plan_loss import loss


class Applied(NamedTuple):
    """What an update has done."""

    changes: list[GroupChange]
    started: list[Process]
    """Those that it has started, which need not be up yet."""


class Rollout:
    """The plan on disk, the plan in force, and the way from one to the other."""

    def __init__(
        self,
        supervisor: Supervisor,
        operations: Operations,
        read: Callable[[], Configuration],
        configuration: Configuration,
        out_of_use: OutOfUse,
    ) -> None:
        """`configuration` was read at the start, and `read` reads it again.

        When that raises ConfigError nothing is changed.
        """
        self.disk = ConfigurationOnDisk(read, configuration)
        """What was read last."""
        self.active = Plan()
        """What is in force."""
        self.not_up = operations.not_up
        self._includes = configuration.sources.includes
        """Those of what is in force."""
        self._supervisor = supervisor
        self._operations = operations
        self._out_of_use = out_of_use
        self._lock = asyncio.Lock()

    @property
    def available(self) -> Plan:
        """What was read last."""
        return self.disk.plan

    def begin(self, plan: Plan) -> None:
        """Put a plan in force: its processes are on the table; nothing is started.

        Processes that were adopted under an older definition count as changed. Groups that were
        taken out of use stay so.
        """
        table = self._supervisor.processes
        used = self._out_of_use.without(plan)
        for program in used.processes():
            if program.fullname not in table:
                self._supervisor.table.add(program)
        groups = {
            name: group._replace(processes=tuple(table[p.fullname].latest for p in group.processes))
            for name, group in used.groups.items()
        }
        self.disk.plan, self.active = plan, Plan(groups=groups)
        self._includes = self.disk.sources.includes
        self._supervisor.table.regroup(used.groups)
        self._settle()
        self._mark_stale()

    def _settle(self) -> None:
        """Groups that are in use, or gone from the configuration, are not out of use any more."""
        self._out_of_use.settle(self.active, self.available, is_on_disk=not self.disk.refused)

    def _mark_stale(self) -> None:
        """Show which processes run with a definition that is no longer the one on disk."""
        latest = {program.fullname: program for program in self.available.processes()}
        for process in self._supervisor.processes.values():
            process.compare_with_disk(latest.get(process.name))

    def start_all(self, by: str = "", resumed: Collection[str] = ()) -> int:
        """Start what is to be started by itself, by ascending priority.

        `resumed`: what was wanted before a stop that the last daemon did not finish; returns how
        many of them there are.
        """
        causes: dict[Process, Cause] = {}
        for process in self._supervisor.processes.values():
            if process.name in resumed and not process.definition.is_removed:
                causes[process] = Cause(CauseKind.RESUMED)
            elif process.program.autostart and process.record == Record():
                causes[process] = Cause(CauseKind.AUTOSTART)
        start_in_order(self._supervisor, causes, by)
        return sum(1 for cause in causes.values() if cause.kind is CauseKind.RESUMED)

    def _start(self, processes: Iterable[Process], by: str, kind: CauseKind) -> list[Process]:
        """Start those that are to start by themselves, and return them."""
        causes = {p: Cause(kind) for p in processes if p.program.autostart}
        return start_in_order(self._supervisor, causes, by)

    def reread(self) -> Difference:
        """Read the configuration; return what `update` would change. Raises ConfigError."""
        self._read()
        return difference(self.active, self.available)

    def _read(self) -> Configuration:
        configuration = self.disk.read()
        self._mark_stale()
        return configuration

    async def update(self, names: list[str], by: str, *, yes: bool = False) -> Applied:
        """Read the configuration and make it true, for all groups or only those named.

        Returns when what is to be stopped is down and what is to be started was asked to. Raises
        ConfigError, NoSuchGroup for a name that is no group, ConfirmationNeeded unless it is given
        with `yes`, or OperationFailed when the daemon is shutting down, and changes nothing.
        """
        async with self._lock:
            self._supervisor.refuse_if_stopping()
            self._read()
            wanted = target(self.active, self.available, names)
            diff = difference(self.active, wanted)
            if not yes:
                self._refuse_loss("update", diff, wanted)
            self.disk.make_log_dir()
            self._supervisor.bus.publish(self.disk.gateway)
            if wanted is self.available:
                self._includes = self.disk.sources.includes
            operation = Operation(OperationKind.UPDATE, by, tuple(names))
            with self._supervisor.unfinished.during(operation):
                return await self._apply(diff, wanted, by)

    def look_ahead(self, verb: str) -> DaemonSettings:
        """Read what the daemon after this one will read, and return its settings.

        Raises ConfigError; ConfirmationNeeded if that would take away what `update` asks about.
        """
        settings = self._read().settings
        self._refuse_loss(verb, difference(self.active, self.available), self.available)
        return settings

    def _refuse_loss(self, verb: str, diff: Difference, wanted: Plan) -> None:
        """Raise ConfirmationNeeded if this would take away what perhaps nobody wants away."""
        lost = loss(self._includes, self.disk.sources.includes, diff, wanted)
        if lost is not None:
            raise ConfirmationNeeded(loss_text(verb, lost), lost.removed, lost.patterns)

    async def update_known(self, names: Iterable[str], by: str) -> None:
        """Update groups, as `update`, of which some may be gone already; none: all.

        It goes on with what was begun, and so confirmed if it had to be.
        """
        self._read()
        known = self.active.groups.keys() | self.available.groups.keys() | {"all"}
        left = [name for name in names if name in known]
        if left or not names:
            await self.update(left, by, yes=True)

    async def _apply(self, diff: Difference, plan: Plan, by: str) -> Applied:
        supervisor = self._supervisor
        removed = [supervisor.processes[p.fullname] for p in diff.removed]
        for process in removed:
            process.mark_removed()
            if process.is_down():
                gone = Cause(CauseKind.NO_LONGER_DEFINED)
                supervisor.interventions.note(process, gone, by)
        down = {p.group for p in removed if not p.is_down()}
        await self._operations.stop_in_order(removed, by)
        for process in removed:
            if process.name in supervisor.processes:
                supervisor.drop(process)
        self.active = plan
        self._settle()
        supervisor.table.regroup(plan.groups)
        anew = await self._change(diff, by)
        added = [supervisor.table.add(program) for program in diff.added]
        started = self._start(added, by, CauseKind.ADDED_BY_UPDATE)
        self._mark_stale()
        changes = group_changes(diff, down, {process.name for process in anew})
        return Applied(changes, [*anew, *started])

    async def _change(self, diff: Difference, by: str) -> list[Process]:
        """Give processes their new definition, and return those that were started anew for it.

        Those that are up are restarted. So are those that have failed: perhaps this was the remedy.
        """
        changed: list[Process] = []
        failed: list[Process] = []
        for program in diff.changed:
            process = self._supervisor.processes[program.fullname]
            record = process.record
            self._supervisor.table.redefine(process, program)
            if process.definition.next is not None:
                changed.append(process)
            elif record.state is State.BACKOFF or (
                process.program.autostart
                and (record.state is State.FATAL or _ended_by_itself(record))
            ):
                failed.append(process)
        up = [p for p in changed if p.record.wanted]
        cause = Cause(CauseKind.CHANGED_BY_UPDATE)
        await self._operations.respawned(up, by, cause)
        return up + start_in_order(self._supervisor, dict.fromkeys(failed, cause), by)

    async def add(self, name: str, by: str) -> list[Process]:
        """Bring a group that was read but is not active into force; return what was started.

        Raises OperationFailed, NoSuchGroup or ConfigError.
        """
        async with self._lock:
            self._supervisor.refuse_if_stopping()
            if name in self.active.groups:
                raise OperationFailed("process group already active", ErrorCode.ALREADY_ACTIVE)
            group = self.available.groups.get(name)
            if group is None:
                raise NoSuchGroup([name], "no such process/group")
            self.disk.make_log_dir()
            self.active = with_groups(self.active, (group,))
            self._settle()
            self._supervisor.table.regroup(self.active.groups)
            added = [self._supervisor.table.add(program) for program in group.processes]
            started = self._start(added, by, CauseKind.ADDED)
            self._supervisor.flush()
            return started

    async def remove(self, name: str, by: str) -> None:
        """Take a group whose processes are all down out of force; committed on return.

        It stays so after a crash or an upgrade. Raises OperationFailed.
        """
        async with self._lock:
            group = self.active.groups.get(name)
            if group is None:
                raise NoSuchGroup([name], "no such process/group")
            processes = [self._supervisor.processes[p.fullname] for p in group.processes]
            if not all(process.is_down() for process in processes):
                raise OperationFailed("process/group still running", ErrorCode.STILL_RUNNING)
            for process in processes:
                self._supervisor.interventions.note(process, Cause(CauseKind.REMOVED), by)
                self._supervisor.drop(process)
            self.active = without_groups(self.active, (name,))
            self._out_of_use.add(name)
            self._supervisor.table.regroup(self.active.groups)
            self._settle()
            self._supervisor.flush()

    async def reload(self, by: str) -> list[Process]:
        """Stop everything, read the configuration anew and start from it; return what was started.

        A configuration that cannot be used is found out first, and nothing is stopped. Raises
        ConfigError, or ConfirmationNeeded, which only an update can give.
        """
        async with self._lock:
            configuration = self._read()
            lost = difference(self.active, self.available)
            self._refuse_loss("reload", lost, self.available)
            self.disk.make_log_dir()
            supervisor = self._supervisor
            supervisor.bus.publish(self.disk.gateway)
            everything = list(supervisor.processes.values())
            wanted = tuple(p.name for p in everything if p.record.wanted)
            operation = Operation(OperationKind.RELOAD, by, wanted=wanted)
            with supervisor.unfinished.during(operation):
                await self._operations.stop_in_order(everything, by)
                for process in everything:
                    supervisor.drop(process)
                self._out_of_use.forget_all()
                self.begin(configuration.plan)
                self.start_all(by)
                return [p for p in supervisor.processes.values() if p.record.wanted]


def _ended_by_itself(record: Record) -> bool:
    return record.state is State.EXITED and not record.wanted
