"""What happens to a process, and what is done about it: the words of `lifecycle.step`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias


class Exit(NamedTuple):
    """How a run ended. Neither code nor signal: nobody could tell (an adopted run)."""

    code: int | None = None
    signal: str | None = None
    core: bool = False
    why: str = ""
    """Why it was killed, in words, where that is known; of an unknown end, what is likely."""

    def __str__(self) -> str:
        if self.code is not None:
            return f"exit {self.code}"
        words = "ended with an unknown exit code"
        if self.signal is not None:
            words = f"killed by {self.signal}" + (" (core dumped)" if self.core else "")
        return f"{words}: {self.why}" if self.why else words


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
