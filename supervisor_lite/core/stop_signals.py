"""Signals that the rules send: never before the journal knows why, and that they are due.

A daemon that is killed between the signal and the record would leave a program that ends, and a
next daemon that takes this for an end by itself: a restart would leave it down, a stop restart it.
One that is killed between the record and the signal leaves the signal to the next daemon.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from supervisor_lite.core.context import EngineContext
from supervisor_lite.core.persistence import Persistence
from supervisor_lite.core.process import Process
from supervisor_lite.core.runs import Runs

_KILL = "KILL"
"""Is sent again when its deadline comes, whichever daemon is there."""


class _Due(NamedTuple):
    process: Process
    name: str
    group: bool


class StopSignals:
    """Sends signals once what is written so far is committed: one commit for many, if asked."""

    def __init__(self, context: EngineContext, runs: Runs, persistence: Persistence) -> None:
        self._loop = context.loop
        self._unsent = context.journal.unsent_signals
        self._runs = runs
        self._persistence = persistence
        self._held: list[_Due] | None = None
        """Those that wait for the commit that is for all of them."""

    def send(self, process: Process, name: str, group: bool) -> None:
        """Send a signal to the main process of a run, or to its group."""
        due = _Due(process, name, group)
        if self._held is not None:
            self._held.append(due)
        else:
            self._send([due])

    def _send(self, all_due: Sequence[_Due]) -> None:
        """Nothing that takes time is between the commit and the signals."""
        for process, _, group in all_due:
            self._runs.look_below(process, group=group)
        runs = [due.process.record.run for due in all_due if due.name != _KILL]
        key = self._unsent.begin([run for run in runs if run is not None])
        self._persistence.flush()
        for process, name, group in all_due:
            self._runs.send_signal(process, name, group=group)
        self._sent(key)

    def send_to_leftovers(
        self, process: Process, name: str, told: float | None, *, everyone: bool = False
    ) -> None:
        """Send a signal to what is left of a run, which is looked for when the loop goes on."""
        run = process.record.run
        key = self._unsent.begin([run]) if name != _KILL and run is not None else ""
        self._runs.end_leftovers(process, name, told, everyone=everyone)
        if key:
            self._loop.call_soon(self._sent, key)  # right behind that look

    def _sent(self, key: str) -> None:
        if key:
            self._unsent.end(key)
            self._persistence.schedule_flush()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Send what is asked for inside at the end, after one commit."""
        if self._held is not None:
            yield
            return
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            if held:
                self._send(held)
