"""One process: its definition, its record, and what is alive of it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

from supervisor_lite.explain.reason import reason
from supervisor_lite.host.cgroup import Killed
from supervisor_lite.logs.fifo import stored_name
from supervisor_lite.logs.processlogs import ProcessLogs
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import State
from supervisor_lite.store.codec import encode

_LAST_WORDS = 10
"""Lines of output that are shown with a failed start."""


class Process:
    """An entry in the supervisor's table. Only the supervisor changes it."""

    __slots__ = (
        "_view", "adopted", "defined", "logs", "pending", "pidfd", "program", "record",
        "removed", "since", "stale", "started", "timer",
    )  # fmt: skip

    def __init__(self, program: Program, now: float) -> None:
        self.program = program
        self.pending: Program | None = None
        """A newer definition that takes effect at the next spawn."""
        self.record = Record()
        self.logs: ProcessLogs | None = None
        self.pidfd: int | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.since = now
        """Wall-clock time at which the state was entered."""
        self.started: float | None = None
        """Wall-clock time of the last spawn."""
        self.adopted = False
        """The live run was spawned by an earlier daemon."""
        self.defined = False
        """The journal knows its definition."""
        self.stale = False
        """Its definition on disk is another one."""
        self.removed = False
        """No longer defined; it leaves the table when it is down."""
        self._view: bytes | None = None

    @property
    def name(self) -> str:
        """`group:name`, or just `name` when both are equal."""
        return self.program.fullname

    @property
    def group(self) -> str:
        """The group's name."""
        return self.program.group or self.program.name

    @property
    def latest(self) -> Program:
        """The definition that its next run has."""
        return self.pending or self.program

    def is_down(self) -> bool:
        """Is nothing of it left, and nothing about to come?"""
        record = self.record
        quiet = record.state in (State.STOPPED, State.EXITED, State.FATAL)
        return quiet and record.deadline is None and not record.leftovers

    def last_words(self) -> str:
        """Return the last lines that the last run has written."""
        return self.logs.last_lines(_LAST_WORDS) if self.logs is not None else ""

    def is_killed_by_others(self, how: Exit) -> bool:
        """May this end be a SIGKILL that was not ours? Of an unknown one nobody can tell."""
        unknown = how.signal is None and how.code is None
        return (unknown or how.signal == "SIGKILL") and not self.record.killed

    def memory_limit_met(self, killed: Killed) -> int | None:
        """Return the limit of memory that somebody was killed for; None: it was not for that."""
        return self.program.memory_max if killed.own else None

    def stored_names(self) -> set[str]:
        """Return the names under which descriptors of it are kept for the next daemon."""
        names = {stored_name(fd) for fd in self.logs.fds().values()} if self.logs else set()
        return names | {f"run-{self.record.run}"} if self.pidfd is not None else names

    def changed(self) -> None:
        """What `view` tells is no longer true."""
        self._view = None

    def redefine(self, program: Program) -> None:
        """Take a newer definition from now on."""
        self.program = program
        self.pending = None
        self.defined = False
        self._view = None

    def view(self) -> bytes:
        """Return the JSON object that the control socket shows (docs/protocol.md)."""
        if self._view is None:
            self._view = json.dumps(self._fields(), separators=(",", ":")).encode()
        return self._view

    def _fields(self) -> dict[str, Any]:
        program, record = self.program, self.record
        waiting = record.deadline if not record.leftovers else record.due
        due = record.state in (State.BACKOFF, State.EXITED, State.STOPPED) and waiting is not None
        since_monotonic = record.spawned
        next_try = None
        if due and waiting is not None and since_monotonic is not None and self.started is not None:
            next_try = rfc3339(self.started + waiting - since_monotonic)
        return {
            "name": program.name,
            "group": self.group,
            "fullname": self.name,
            "program": program.program or program.name,
            "state": record.state.name,
            "statecode": int(record.state),
            "wanted": record.wanted,
            "pid": record.pid,
            "run": record.run,
            "up_since": record.spawned if record.pid is not None else None,
            "started": rfc3339(self.started),
            "since": rfc3339(self.since),
            "exitcode": record.exit.code if record.exit else None,
            "signal": record.exit.signal if record.exit else None,
            "failures": record.failures,
            "restarts": record.restart_count,
            "next_try": next_try,
            "reason": reason(program, record),
            "cause": encode(record.cause),
            "autostart": program.autostart,
            "priority": program.priority,
            "stdout_logfile": program.stdout.path,
            "stderr_logfile": None if program.redirect_stderr else program.stderr.path,
            "stale": self.stale or self.pending is not None,
        }


def rfc3339(seconds: float | None) -> str | None:
    """Return a wall-clock time as text in UTC with milliseconds."""
    if seconds is None:
        return None
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
