"""End the daemon when its programs have ended: `[daemon] exit_when`, for containers.

A process has ended for good when it is EXITED or FATAL and nothing will start it again by itself.
What an operator stopped has not: a stop never ends the daemon, but does not keep it either.
"""

from __future__ import annotations

from collections.abc import Callable

from supervisor_lite.core.bus import Bus
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.host.signals import signal_number
from supervisor_lite.model.change import Change
from supervisor_lite.model.states import State

NOT_STARTED = 127
"""The exit code of a shell when there is no such command."""

UNKNOWN = 1
SIGNALLED = 128
"""Added to the number of the signal, as a shell does."""


class ExitCondition:
    """Watches the processes; when it is true, calls `on_met`: condition, reason, exit code."""

    def __init__(
        self,
        condition: str | None,
        supervisor: Supervisor,
        bus: Bus,
        on_met: Callable[[str, str, int], None],
    ) -> None:
        self._condition = condition or ""
        self._program = self._condition.partition(":")[2]
        self._supervisor = supervisor
        self._bus = bus
        self._on_met = on_met
        self._up: set[str] = set()
        """Processes that count and are up, or will be."""
        self._ended: dict[str, int] = {}
        """Exit codes of those that have ended for good, in the order of their ends."""

    def begin(self) -> None:
        """Examine everything, and from now on what changes. Called when all is started."""
        if not self._condition:
            return
        for name in tuple(self._supervisor.processes):
            self._examine(name)
        self._bus.subscribe(Change, self._on_change)
        for name in tuple(self._ended):
            self._evaluate(name)

    def _on_change(self, change: Change) -> None:
        if change.from_state == change.to_state:
            return
        self._examine(change.name)
        self._evaluate(change.name)

    def _examine(self, name: str) -> None:
        self._up.discard(name)
        self._ended.pop(name, None)
        process = self._supervisor.processes.get(name)
        if process is not None and (process.program.listener or process.program.internal):
            return  # it is there for the others, and would be there for ever
        if process is None or (self._program and process.program.program != self._program):
            return
        if not process.is_down():
            self._up.add(name)
        elif process.record.state in (State.EXITED, State.FATAL):
            self._ended[name] = exit_code(process)

    def _evaluate(self, name: str) -> None:
        """Call `on_met` if the condition is true, now that this process has changed."""
        if name not in self._ended or self._supervisor.stopping:
            return
        state = self._supervisor.processes[name].record.state
        if self._condition == "any-fatal":
            if state is State.FATAL:
                self._on_met(self._condition, f"{name} is FATAL", self._ended[name])
        elif not self._up:
            code = next(filter(None, self._ended.values()), 0)
            ended = f"{self._program} has ended" if self._program else "nothing runs any more"
            self._on_met(self._condition, ended, code)


def exit_code(process: Process) -> int:
    """Return what the daemon exits with because of this process (docs/containers.md)."""
    record = process.record
    exit_status = record.exit
    if record.error is not None or exit_status is None:
        return NOT_STARTED
    if exit_status.signal is not None:
        return SIGNALLED + signal_number(exit_status.signal.removeprefix("SIG"))
    if exit_status.code is None:
        return UNKNOWN
    # Code 0 too early, time and again, is a failure all the same.
    return exit_status.code or (UNKNOWN if record.state is State.FATAL else 0)
