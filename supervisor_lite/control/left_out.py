"""Whom `all` and patterns do not mean when they stop, restart or signal.

That is the gateway that the daemon runs by itself, and the process that the caller runs inside of:
whoever stops everything from a terminal in there, or a deployment script that restarts everything,
would end itself half way through. Each of them is meant by its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from supervisor_lite.core.process import Process
from supervisor_lite.host.procfs import ancestry
from supervisor_lite.protocol.codes import LeftOutCode


class LeftOut:
    """Tells for one request who is left out, and remembers it for the answer."""

    def __init__(self, caller: int, *, down: bool) -> None:
        """`caller` is a pid; `down`: what is not up would be concerned as well."""
        self._caller = caller
        self._down = down
        self._around: frozenset[int] | None = None
        self._why: dict[str, str] = {}

    def spares(self, process: Process) -> bool:
        """Is this one left out of what may mean many?"""
        if process.program.internal:
            why = LeftOutCode.GATEWAY
        elif process.record.pid is not None and process.record.pid in self._around_caller():
            why = LeftOutCode.CALLER
        else:
            return False
        if self._down or not process.is_down():
            self._why[process.name] = why
        return True

    def _around_caller(self) -> frozenset[int]:
        if self._around is None:
            self._around = ancestry(self._caller) if self._caller > 0 else frozenset()
        return self._around

    def fields(self, meant: Iterable[Process]) -> dict[str, Any]:
        """Return what the answer has of it; nothing of those that were meant all the same."""
        named = {process.name for process in meant}
        rows = [{"fullname": n, "why": why} for n, why in self._why.items() if n not in named]
        return {"left_out": rows} if rows else {}
