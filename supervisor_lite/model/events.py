"""What happens to a process: the input of `lifecycle.step`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from supervisor_lite.model.exit import Exit

# Events: what happened.


class StartAsked(NamedTuple):
    """Someone wants the process up; failures are forgotten."""

    by: str
    cause: str = "start asked"


class StopAsked(NamedTuple):
    """Someone wants the process down."""

    by: str
    cause: str = "stop asked"


class RestartAsked(NamedTuple):
    """Stop while still wanted: nothing stays down if the asker goes away in between."""

    by: str
    cause: str = "restart asked"


@dataclass(frozen=True, slots=True)
class HurryAsked:
    """Whoever is being stopped is to be killed now."""


class Spawned(NamedTuple):
    """The answer to Spawn: there is a process."""

    run: int
    pid: int


class SpawnFailed(NamedTuple):
    """The answer to Spawn: there is none, and why."""

    run: int
    error: str


class Exited(NamedTuple):
    """The main process of a run ended. `leftovers`: descendants of it are to be ended too."""

    run: int
    exit: Exit
    leftovers: bool = False
    kept: str = ""
    """Descendants that are left alone because the program says so, in words."""


class LeftoversGone(NamedTuple):
    """No descendant of the run is left. `ended` names those that had to be ended."""

    run: int
    ended: str = ""


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """It may be time; if it is not, nothing happens."""


Event: TypeAlias = (
    StartAsked
    | StopAsked
    | RestartAsked
    | HurryAsked
    | Spawned
    | SpawnFailed
    | Exited
    | LeftoversGone
    | DeadlinePassed
)


# Actions: what to do about it.
