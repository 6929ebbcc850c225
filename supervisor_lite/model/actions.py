"""What is to be done about a process: the answers of `lifecycle.step`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a run; answer with Spawned or SpawnFailed before anything else happens."""


class Signal(NamedTuple):
    """Send a signal to the main process, or to its whole process group."""

    signal: str
    group: bool


class SignalLeftovers(NamedTuple):
    """Send a signal to every remaining descendant of the run; LeftoversGone when none is left."""

    signal: str


Action: TypeAlias = Spawn | Signal | SignalLeftovers
