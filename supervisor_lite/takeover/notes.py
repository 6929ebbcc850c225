"""What the journal is told of a take-over, besides changes of state."""

from __future__ import annotations

import os
import time

from supervisor_lite import __version__
from supervisor_lite.core.process import Process
from supervisor_lite.model.cause import Cause, CauseKind, Note, NoteKind
from supervisor_lite.model.change import Change
from supervisor_lite.store.journal import Journal


class TakeoverNotes:
    """Writes that this daemon, or this version of it, has come to be in charge."""

    def __init__(self, journal: Journal, *, upgraded: bool) -> None:
        self._journal = journal
        self._version = __version__ if upgraded else ""

    def add(self, process: Process, kind: CauseKind, *, output_lost: str = "") -> None:
        """Note it of a process, as a change from its state to the same one.

        `output_lost` says why its output cannot be had.
        """
        record = process.record
        change = Change(
            serial=self._journal.next_serial(),
            time=time.time(),
            name=process.name,
            process=process.program.name,
            group=process.group,
            from_state=record.state.name,
            to_state=record.state.name,
            cause=Cause(kind, pid=os.getpid(), version=self._version),
            notes=(Note(NoteKind.OUTPUT_LOST, text=output_lost),) if output_lost else (),
            run=record.run,
            pid=record.pid,
        )
        self._journal.add_change(change)
