"""Make a new plan true: what is removed, changed, added; everything else is not touched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping

from supervisor_lite import safe_paths
from supervisor_lite.core.operations import Operations
from supervisor_lite.core.out_of_use import OutOfUse
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.core.topics import GatewayInForce
from supervisor_lite.errors import ConfigError, Diagnostic, NoSuchGroup, OperationFailed
from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.operation import Operation, OperationKind
from supervisor_lite.model.plan import Configuration, Plan
from supervisor_lite.model.record import Record
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.model.states import State
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.rules import order, pending_settings
from supervisor_lite.rules.plan_diff import Difference, difference, with_groups, without_groups


class Rollout:
    """The plan on disk, the plan in force, and the way from one to the other."""

    def __init__(
        self,
        supervisor: Supervisor,
        operations: Operations,
        read: Callable[[], Configuration],
        settings: DaemonSettings,
        out_of_use: OutOfUse,
        refused: tuple[str, ...] = (),
    ) -> None:
        """`settings` are those that the daemon works with as long as it lives.

        `read` reads the configuration again; when it raises ConfigError nothing is changed.
        """
        self.refused = refused
        """What is wrong with the configuration on disk, as far as it was read last."""
        self.pending_settings: tuple[str, ...] = ()
        """Keys of [daemon] that have changed on disk and need another daemon."""
        self.available = Plan()
        """What was read last."""
        self.active = Plan()
        """What is in force."""
        self._supervisor = supervisor
        self._operations = operations
        self._read_configuration = read
        self._settings = settings
        self._out_of_use = out_of_use
        self._log_dir = settings.log_dir
        """The directory of logs that was read last."""
        self._gateway: GatewayInForce | None = None
        """What was read last."""
        self._lock = asyncio.Lock()

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
        self.available, self.active = plan, Plan(groups=groups)
        self._supervisor.table.regroup(used.groups)
        self._settle()
        self._mark_stale()

    def _settle(self) -> None:
        """Groups that are in use, or gone from the configuration, are not out of use any more."""
        self._out_of_use.settle(self.active, self.available, is_on_disk=not self.refused)

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
        self._start_in_order(causes, by)
        return sum(1 for cause in causes.values() if cause.kind is CauseKind.RESUMED)

    def _start(self, processes: Iterable[Process], by: str, kind: CauseKind) -> None:
        self._start_in_order({p: Cause(kind) for p in processes if p.program.autostart}, by)

    def _start_in_order(self, causes: Mapping[Process, Cause], by: str) -> None:
        table = {p.name: p for p in causes}
        programs = [p.program for p in table.values()]
        for wave in order.start_waves(programs, self._supervisor.table.groups):
            for program in wave:
                process = table[program.fullname]
                self._supervisor.start(process, by, causes[process])

    def reread(self) -> tuple[Difference, tuple[str, ...]]:
        """Read the configuration; return what `update` would change, and warnings.

        Raises ConfigError.
        """
        configuration = self._read()
        return difference(self.active, self.available), configuration.warnings

    def _read(self) -> Configuration:
        try:
            configuration = self._read_configuration()
        except ConfigError as error:
            self.refused = tuple(map(str, error.diagnostics))
            raise
        self.refused = ()
        self.pending_settings = pending_settings.pending_settings(
            self._settings, configuration.settings
        )
        self.available = configuration.plan
        self._log_dir = configuration.settings.log_dir
        self._gateway = GatewayInForce(configuration.gateway, configuration.settings.gateway_group)
        self._mark_stale()
        return configuration

    def _make_log_dir(self) -> None:
        """Make the directory of logs if it is another than at the start. Raises ConfigError."""
        try:
            safe_paths.make_directories(self._log_dir, 0o750)
        except OSError as error:
            text = f"cannot make this directory: {error.strerror}"
            raise ConfigError([Diagnostic(self._log_dir, 0, "", text)]) from error

    async def update(self, names: list[str], by: str) -> list[tuple[str, str]]:
        """Read the configuration and make it true, for all groups or only those named.

        Returns (group, "added" | "changed" | "removed" | "stopped") in the order of doing.
        Raises ConfigError, NoSuchGroup for a name that is no group, or OperationFailed when the
        daemon is shutting down, and changes nothing.
        """
        async with self._lock:
            self._supervisor.refuse_if_stopping()
            self._read()
            wanted = self._target(names)
            self._make_log_dir()
            self._supervisor.bus.publish(self._gateway)
            diff = difference(self.active, wanted)
            operation = Operation(OperationKind.UPDATE, by, tuple(names))
            with self._supervisor.unfinished.during(operation):
                return await self._apply(diff, wanted, by)

    async def update_known(self, names: Iterable[str], by: str) -> None:
        """Update groups, as `update`, of which some may be gone already; none: all."""
        self._read()
        known = self.active.groups.keys() | self.available.groups.keys() | {"all"}
        left = [name for name in names if name in known]
        if left or not names:
            await self.update(left, by)

    def _target(self, names: list[str]) -> Plan:
        if not names or "all" in names:
            return self.available
        old, new = self.active.groups, self.available.groups
        unknown = sorted(name for name in names if name not in old and name not in new)
        if unknown:
            raise NoSuchGroup(unknown)
        target = without_groups(self.active, names)
        return with_groups(target, (new[name] for name in names if name in new))

    async def _apply(self, diff: Difference, plan: Plan, by: str) -> list[tuple[str, str]]:
        supervisor = self._supervisor
        results: list[tuple[str, str]] = []
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
        for name in diff.groups_removed:
            if name in down:
                results.append((name, "stopped"))
            results.append((name, "removed"))
        self.active = plan
        self._settle()
        supervisor.table.regroup(plan.groups)
        await self._change(diff, by)
        results += [(name, "changed") for name in diff.groups_changed]
        added = [supervisor.table.add(program) for program in diff.added]
        self._start(added, by, CauseKind.ADDED_BY_UPDATE)
        results += [(name, "added") for name in diff.groups_added]
        self._mark_stale()
        return results

    async def _change(self, diff: Difference, by: str) -> None:
        """Give processes their new definition; those that are up get it by a restart."""
        changed: list[Process] = []
        retried: list[Process] = []
        for program in diff.changed:
            process = self._supervisor.processes[program.fullname]
            state = process.record.state
            self._supervisor.table.redefine(process, program)
            if process.definition.next is not None:
                changed.append(process)
            elif state is State.FATAL or (state is State.EXITED and not process.record.wanted):
                retried.append(process)  # it ended by itself: perhaps this was the remedy
        up = [p for p in changed if p.record.wanted]
        await self._operations.respawned(up, by, Cause(CauseKind.CHANGED_BY_UPDATE))
        self._start(retried, by, CauseKind.CHANGED_BY_UPDATE)

    async def add(self, name: str, by: str) -> None:
        """Bring a group that was read but is not active into force.

        Raises OperationFailed, NoSuchGroup or ConfigError.
        """
        async with self._lock:
            self._supervisor.refuse_if_stopping()
            if name in self.active.groups:
                raise OperationFailed("process group already active", ErrorCode.ALREADY_ACTIVE)
            group = self.available.groups.get(name)
            if group is None:
                raise NoSuchGroup([name], "no such process/group")
            self._make_log_dir()
            self.active = with_groups(self.active, (group,))
            self._settle()
            self._supervisor.table.regroup(self.active.groups)
            added = [self._supervisor.table.add(program) for program in group.processes]
            self._start(added, by, CauseKind.ADDED)
            self._supervisor.flush()

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

    async def reload(self, by: str) -> None:
        """Stop everything, read the configuration anew and start from it.

        A configuration that cannot be used is found out first, and nothing is stopped. Raises
        ConfigError.
        """
        async with self._lock:
            configuration = self._read()
            self._make_log_dir()
            supervisor = self._supervisor
            supervisor.bus.publish(self._gateway)
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
