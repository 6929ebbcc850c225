"""Signals that the rules send: never before the journal knows why.

A daemon that is killed between the signal and the record would leave a program that ends, and a
next daemon that takes this for an end by itself: a restart would leave it down, a stop restart it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from supervisor_lite.core.process import Process
from supervisor_lite.core.runs import Runs


class StopSignals:
    """Sends signals once what is written so far is committed: one commit for many, if asked."""

    def __init__(self, runs: Runs, flush: Callable[[], None]) -> None:
        self._runs = runs
        self._flush = flush
        self._held: list[tuple[Process, str, bool]] | None = None
        """Those that wait for the commit that is for all of them."""

    def send(self, process: Process, name: str, group: bool) -> None:
        """Send a signal to the main process of a run, or to its group."""
        if self._held is not None:
            self._held.append((process, name, group))
            return
        self._flush()
        self._runs.send_signal(process, name, group=group)

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
                self._flush()
            for process, name, group in held:
                self._runs.send_signal(process, name, group=group)
