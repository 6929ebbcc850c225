"""The end of a main process: its run is over, or goes on with another one."""

from __future__ import annotations

import time
from collections.abc import Callable

from supervisor_lite.core.context import EngineContext
from supervisor_lite.core.process import Process
from supervisor_lite.core.succession import Succession
from supervisor_lite.host.process_trees import ProcessTrees
from supervisor_lite.host.procfs import Stat
from supervisor_lite.host.reaper import Usage
from supervisor_lite.host.terminate import kept
from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.events import Event, Exited
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Leftovers
from supervisor_lite.model.states import State

_PAUSE = 0.05
_PATIENCE = 2.0
"""Seconds that a program has to write its pid file after its first process has ended well."""


class RunEnds:
    """Writes down the ends of runs, and feeds them to the rules."""

    def __init__(
        self,
        context: EngineContext,
        trees: ProcessTrees,
        succession: Succession,
        notify: Callable[[Process, Event], None],
    ) -> None:
        """`notify` is called with each end of a run."""
        self._context = context
        self._trees = trees
        self._succession = succession
        self._notify = notify

    def end(
        self, process: Process, exit_status: Exit, usage: Usage | None, left: list[Stat]
    ) -> None:
        """Answer the end of a main process; `left` is who is left of its run."""
        if self._succession.follow(process, left):
            return
        if left and exit_status.code == 0 and self._succession.is_possible(process):
            # It has put itself into the background, as it seems, and is about to say who it is.
            until = time.monotonic() + _PATIENCE
            self._context.loop.call_later(_PAUSE, self._look, process, exit_status, usage, until)
            return
        self._over(process, exit_status, usage, left)

    def _look(self, process: Process, exit_status: Exit, usage: Usage | None, until: float) -> None:
        """Look whether the pid file is there now; without it, the run is over in the end."""
        run = process.record.run
        try:
            left = self._trees.survivors((run,)).get(run, []) if run is not None else []
        except OSError:  # no descriptor to look with
            self._context.loop.call_later(_PAUSE, self._look, process, exit_status, usage, until)
            return
        if self._succession.follow(process, left):
            return
        if left and self._succession.is_possible(process) and time.monotonic() < until:
            self._context.loop.call_later(_PAUSE, self._look, process, exit_status, usage, until)
            return
        self._over(process, exit_status, usage, left)

    def _over(
        self, process: Process, exit_status: Exit, usage: Usage | None, left: list[Stat]
    ) -> None:
        process.end_run()
        self._write(process, exit_status, usage)
        self.close(process, exit_status, left)

    def end_unseen(self, process: Process, exit_status: Exit, left: list[Stat]) -> None:
        """Answer an end that happened while no daemon was there."""
        if not self._succession.follow(process, left):
            self._over(process, exit_status, None, left)

    def _write(self, process: Process, exit_status: Exit, usage: Usage | None) -> None:
        """Take the last words of a run whose main process has ended, and write down its end."""
        run = process.record.run
        assert run is not None
        if process.logs is not None:
            process.logs.drain()
        self._context.journal.record_end(
            run,
            Cause(CauseKind.EXITED, exit=exit_status),
            usage=(usage.maxrss, usage.utime, usage.stime) if usage else None,
            last_words=process.last_words() if process.record.state is State.STARTING else "",
        )

    def close(self, process: Process, exit_status: Exit, left: list[Stat]) -> None:
        """Close a run whose end is written, and feed it to the rules."""
        run = process.record.run
        assert run is not None
        self._context.unstore(f"run-{run}")
        kill = process.program.leftovers is Leftovers.KILL and bool(left)
        if not kill:
            self._trees.forget(run)
            self._context.secrets.revoke(process.program, run)
        left_alone = None if kill else kept(left, process.record.pid or 0)
        self._notify(process, Exited(run, exit_status, kill, left_alone))
