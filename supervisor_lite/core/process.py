"""One process: its definition, its record, and what is alive of it."""

from __future__ import annotations

import os
from collections.abc import Callable

from supervisor_lite.core import view
from supervisor_lite.core.definition import Definition
from supervisor_lite.host.cgroup import OomKill
from supervisor_lite.logs.fifo import stored_name
from supervisor_lite.logs.processlogs import ProcessLogs
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.listener_health import ListenerHealth
from supervisor_lite.model.output import OutputLoss, OutputTrouble
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import State

_LAST_WORDS = 10
"""Lines of output that are shown with a failed start."""


class Process:
    """An entry in the supervisor's table.

    It is changed by its methods only, which keep true what it shows; the supervisor, its table and
    its runs call them, and nobody else.
    """

    __slots__ = (
        "_adopted", "_definition", "_listening", "_logs", "_output_lost", "_pidfd", "_record",
        "_signals", "_since", "_started", "_view",
    )  # fmt: skip

    def __init__(
        self,
        program: Program,
        since: float,
        record: Record = Record(),  # noqa: B008 it is immutable
        started: float | None = None,
    ) -> None:
        """`since` and `started` are wall-clock times: of the last change of state and spawn."""
        self._definition = Definition(program)
        self._record = record
        self._since = since
        self._started = started
        self._listening: Callable[[], ListenerHealth | None] | None = None
        self._logs: ProcessLogs | None = None
        self._pidfd: int | None = None
        self._adopted = False
        self._output_lost = False
        self._signals: dict[str, str] = {}
        """Who has asked for which signal to the live run."""
        self._view: bytes | None = None

    # What it is.

    @property
    def definition(self) -> Definition:
        """What it is defined as; read it only."""
        return self._definition

    @property
    def program(self) -> Program:
        """The definition in force."""
        return self._definition.current

    @property
    def latest(self) -> Program:
        """The definition that its next run has."""
        return self._definition.latest

    @property
    def name(self) -> str:
        """`group:name`, or just `name` when both are equal."""
        return self.program.fullname

    @property
    def group(self) -> str:
        """The group's name."""
        return self.program.group or self.program.name

    @property
    def record(self) -> Record:
        """Where it is now, as the rules see it."""
        return self._record

    @property
    def since(self) -> float:
        """Wall-clock time at which the state was entered."""
        return self._since

    @property
    def started(self) -> float | None:
        """Wall-clock time of the last spawn."""
        return self._started

    @property
    def pidfd(self) -> int | None:
        """The main process, while it lives."""
        return self._pidfd

    @property
    def adopted(self) -> bool:
        """Is the live run somebody else's child, because an earlier daemon has spawned it?"""
        return self._adopted

    @property
    def output_lost(self) -> bool:
        """Can what the live run writes not be had, because its pipe is gone?"""
        return self._output_lost

    @property
    def logs(self) -> ProcessLogs | None:
        """Its output, once it has any."""
        return self._logs

    def view(self) -> bytes:
        """Return the JSON object that the control socket shows (docs/protocol.md)."""
        if self._view is None or self._listening is not None:
            self._view = view.render(self)
        return self._view

    def listening(self) -> ListenerHealth | None:
        """Return how it is doing as an event listener; None if it is none, or does not run."""
        return self._listening() if self._listening is not None else None

    def is_down(self) -> bool:
        """Is nothing of it left, and nothing about to come?"""
        record = self._record
        quiet = record.state in (State.STOPPED, State.EXITED, State.FATAL)
        return quiet and record.deadline is None and not record.leftovers

    def last_words(self) -> str:
        """Return the last lines that the last run has written."""
        return self._logs.last_lines(_LAST_WORDS) if self._logs is not None else ""

    def is_killed_by_others(self, how: Exit) -> bool:
        """May this end be a SIGKILL that was not ours? Of an unknown one nobody can tell."""
        unknown = how.signal is None and how.code is None
        return (unknown or how.signal == "SIGKILL") and not self._record.killed

    def who_signalled(self, how: Exit) -> str:
        """Return who asked for the signal that has ended the run; empty if nobody did."""
        signal, record = how.signal or "", self._record
        if record.state is State.STOPPING:
            # It got the signals of its stop, too.
            own = "SIGKILL" if record.killed else f"SIG{self.program.stopsignal}"
            return "" if signal == own else self._signals.get(signal, "")
        return self._signals.get(signal, "")

    def memory_limit_met(self, killed: OomKill) -> int | None:
        """Return the limit of memory that somebody was killed for; None: it was not for that."""
        return self.program.memory_max if killed.own else None

    def stored_names(self) -> set[str]:
        """Return the names under which descriptors of it are kept for the next daemon."""
        names = {stored_name(fd) for fd in self._logs.fds().values()} if self._logs else set()
        return names | {f"run-{self._record.run}"} if self._pidfd is not None else names

    def output_trouble(self) -> OutputTrouble | None:
        """Return why its output cannot be written at present."""
        return self._logs.trouble() if self._logs is not None else None

    def output_dropped(self) -> OutputLoss:
        """Return what of its output was dropped since the daemon is there."""
        return self._logs.dropped() if self._logs is not None else OutputLoss()

    # How it changes.

    def move_to(self, record: Record, since: float | None = None) -> None:
        """Have another record; of another state `since` a wall-clock time."""
        self._record = record
        if since is not None:
            self._since = since
        self._view = None

    def begin_run(self, pidfd: int, started: float) -> None:
        """Have a main process, just spawned; the pidfd is ours to close."""
        self._pidfd = pidfd
        self._started = started
        self._view = None

    def adopt_run(self, pidfd: int, *, child: bool) -> None:
        """Have a main process that an earlier daemon has spawned, and that may be our child."""
        self._pidfd = pidfd
        self._adopted = not child

    def replace_main(self, pidfd: int, *, child: bool) -> None:
        """Have another main process in the same run, which may be our child."""
        self.end_run()
        self.adopt_run(pidfd, child=child)
        self._view = None

    def lose_output(self) -> None:
        """What the live run writes cannot be had; its end is the end of that."""
        self._output_lost = True
        self._view = None

    def end_run(self) -> None:
        """Have no main process any more."""
        self._output_lost = False
        self._signals.clear()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        self._adopted = False

    def note_signal(self, name: str, by: str) -> None:
        """The live run was sent this signal, because somebody has asked for it."""
        self._signals[name] = by

    def set_logs(self, logs: ProcessLogs | None) -> None:
        """Have this output, or none."""
        self._logs = logs

    def show_listening(self, ask: Callable[[], ListenerHealth | None]) -> None:
        """Have it be asked how it is doing as an event listener, whenever it is shown."""
        self._listening = ask

    def show_output_anew(self) -> None:
        """What is lost of its output, or why, has changed."""
        self._view = None

    def redefine(self, program: Program) -> None:
        """Have another definition from now on."""
        self._definition.replace(program)
        self._view = None

    def redefine_at_spawn(self, program: Program) -> None:
        """Have another definition from the next spawn on."""
        self._definition.next = program
        self._view = None

    def mark_removed(self, removed: bool = True) -> None:
        """Nobody defines it any more; or somebody does after all."""
        self._definition.is_removed = removed

    def compare_with_disk(self, program: Program | None) -> None:
        """This is its definition on disk now, None if there is none, which makes no difference."""
        outdated = program is not None and program != self._definition.latest
        if outdated != self._definition.is_outdated:
            self._definition.is_outdated = outdated
            self._view = None
