"""Have the journal know what the next daemon needs to know of each process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from supervisor_lite.core.process import Process
from supervisor_lite.model.run import StoredProcess
from supervisor_lite.store.journal import Journal


class Persistence:
    """Write records and definitions that have changed, together, once per iteration of the loop.

    A record may be written later than the actions that follow from it were carried out: what has
    to be known of a run in any case is written by `Runs`, before and after its fork.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        journal: Journal,
        processes: Mapping[str, Process],
    ) -> None:
        """Of what is not in `processes` any more nothing is written."""
        self._loop = loop
        self._journal = journal
        self._processes = processes
        self._dirty: set[Process] = set()
        self._scheduled = False

    def remember(self, process: Process) -> None:
        """Have the record written at the end of this iteration of the loop."""
        self._dirty.add(process)
        self.schedule_flush()

    def forget(self, process: Process) -> None:
        """Keep nothing of a process that is not defined any more."""
        self._journal.forget(process.name)
        self.schedule_flush()

    def schedule_flush(self) -> None:
        """Have what is written by now committed at the end of this iteration of the loop."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write and commit what is not in the journal yet."""
        self._scheduled = False
        dirty, self._dirty = self._dirty, set()
        for process in dirty:
            if self._processes.get(process.name) is process:
                self._write(process)
        if not self._journal.commit():
            self._dirty |= dirty  # tried again with the next change

    def _write(self, process: Process) -> None:
        self._journal.remember(
            StoredProcess(
                process.name, process.record, process.program, process.since, process.started
            )
        )
