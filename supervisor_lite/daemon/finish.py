"""Finish what the daemon before us was doing when it died; takeover/left_to_do.py says what."""

from __future__ import annotations

from collections.abc import Callable

from supervisor_lite.controllers.rollout import Rollout
from supervisor_lite.core.operations import Operations
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.daemon.log import Log
from supervisor_lite.daemon.tasks import BackgroundTasks
from supervisor_lite.errors import SupervisorLiteError
from supervisor_lite.model.operation import Operation, OperationKind
from supervisor_lite.takeover.left_to_do import LeftToDo
from supervisor_lite.text import plural


class Finish:
    """Carries out again what was not carried out to its end."""

    def __init__(
        self,
        supervisor: Supervisor,
        operations: Operations,
        rollout: Rollout,
        log: Log,
        tasks: BackgroundTasks,
    ) -> None:
        self._supervisor = supervisor
        self._operations = operations
        self._rollout = rollout
        self._log = log
        self._tasks = tasks
        self._open = 0
        """Operations that go on."""
        self._then: Callable[[], None] | None = None

    def begin(self, unfinished: LeftToDo, then: Callable[[], None]) -> None:
        """Start what a shutdown has stopped and the rest; go on with the other operations.

        `then` is called when all are done: until then what is down may only be on its way up.
        """
        reloads = [op for _, op in unfinished.again if op.kind is OperationKind.RELOAD]
        if not reloads:  # which begins with a stop of everything
            resumed = self._rollout.start_all(resumed=unfinished.wanted)
            if resumed:
                those = plural(resumed, "process", "processes")
                self._log.warning(f"a shutdown was cut short: starting {those} that it stopped")
        for key in unfinished.keys:
            self._supervisor.unfinished.end(key)
        self._supervisor.flush()
        self._open, self._then = len(unfinished.again), then
        for key, operation in unfinished.again:
            self._supervisor.unfinished.inherit(key, operation)
            self._tasks.start(self._finish(key, operation))
        self._look_whether_done()

    def _look_whether_done(self) -> None:
        if not self._open and self._then is not None:
            then, self._then = self._then, None
            then()

    async def _finish(self, key: str, operation: Operation) -> None:
        what = operation.kind.value
        self._log.warning(f"{what} was cut short: finishing it", by=operation.by)
        self._supervisor.unfinished.carry_on(key)
        try:
            await self._carry_out(operation)
        except SupervisorLiteError as error:
            self._log.error(f"cannot finish {what}: {error}")
        self._supervisor.unfinished.end(key)
        self._open -= 1
        self._look_whether_done()

    async def _carry_out(self, operation: Operation) -> None:
        by = operation.by
        match operation.kind:
            case OperationKind.RELOAD:
                try:
                    await self._rollout.reload(by)
                except SupervisorLiteError:
                    # As before it, then: what it has stopped is wanted.
                    self._rollout.start_all(resumed=frozenset(operation.wanted))
                    raise
            case OperationKind.UPDATE:
                await self._rollout.update_known(operation.names, by)
            case OperationKind.STOP:
                await self._operations.stop(
                    self._present(operation.names), by, wait=True, timeout=None
                )
            case OperationKind.RESTART:
                before = dict(zip(operation.names, operation.runs, strict=True))
                todo = [p for p in self._present(before) if p.record.run in (before[p.name], None)]
                await self._operations.restart(todo, by, wait=True, timeout=None)
            case OperationKind.SHUTDOWN:
                return

    def _present(self, names: tuple[str, ...] | dict[str, int]) -> list[Process]:
        table = self._supervisor.processes
        return [table[name] for name in names if name in table]
