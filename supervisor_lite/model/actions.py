"""What is to be done about a process: the answers of `lifecycle.step`.

Named tuples like the events, and `distinct` for the same reasons; see events.py.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from supervisor_lite.model.distinct import distinct


@distinct
class Spawn(NamedTuple):
    """Start a run; answer with Spawned or SpawnFailed before anything else happens."""


@distinct
class Signal(NamedTuple):
    """Send a signal to the main process, or to its whole process group."""

    signal: str
    group: bool


@distinct
class SignalLeftovers(NamedTuple):
    """Send a signal to every remaining descendant of the run; LeftoversGone when none is left."""

    signal: str
    told: float | None = None
    """When the process group was sent it (monotonic seconds): who was of it is not sent another."""


Action: TypeAlias = Spawn | Signal | SignalLeftovers
