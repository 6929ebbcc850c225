"""What happens to a process: the input of `lifecycle.step`.

Events are named tuples, because a class of them costs a tenth of a dataclass at every start of the
daemon. A bare named tuple would be equal to any other with the same values, whatever they mean,
and an empty one would be false: `distinct` cures both.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from supervisor_lite.model.cause import Cause, CauseKind, Note, SpawnFailure
from supervisor_lite.model.distinct import distinct
from supervisor_lite.model.exit import Exit

START_ASKED = Cause(CauseKind.START_ASKED)
STOP_ASKED = Cause(CauseKind.STOP_ASKED)
RESTART_ASKED = Cause(CauseKind.RESTART_ASKED)


@distinct
class StartAsked(NamedTuple):
    """Someone wants the process up; failures are forgotten, an announced stop is withdrawn."""

    by: str
    cause: Cause = START_ASKED


@distinct
class StopAsked(NamedTuple):
    """Someone wants the process down."""

    by: str
    cause: Cause = STOP_ASKED


@distinct
class StopAnnounced(NamedTuple):
    """Someone wants the process down, and its turn comes later: StopAsked, unless it is withdrawn.

    What is up goes on, and is not started again when it ends; nothing else starts any more.
    """

    by: str
    cause: Cause = STOP_ASKED


@distinct
class RestartAsked(NamedTuple):
    """Stop while still wanted: nothing stays down if the asker goes away in between."""

    by: str
    cause: Cause = RESTART_ASKED


@distinct
class Faulted(NamedTuple):
    """The daemon itself has the run replaced, because of its memory for instance.

    Nobody has asked for it: failures, the budget of restarts and the counter are as they were.
    """

    cause: Cause


@distinct
class KillAsked(NamedTuple):
    """Whoever is being stopped is to be killed now."""


@distinct
class Spawned(NamedTuple):
    """The answer to Spawn: there is a process."""

    run: int
    pid: int


@distinct
class SpawnFailed(NamedTuple):
    """The answer to Spawn: there is none, and why."""

    run: int
    error: SpawnFailure


@distinct
class Exited(NamedTuple):
    """The main process of a run ended. `leftovers`: descendants of it are to be ended too."""

    run: int
    exit: Exit
    leftovers: bool = False
    kept: Note | None = None
    """Descendants that are left alone because the program says so."""


@distinct
class MainReplaced(NamedTuple):
    """The main process of a run ended, and another one has taken its place: the run goes on."""

    run: int
    pid: int


@distinct
class LeftoversGone(NamedTuple):
    """No descendant of the run is left. `ended` names those that had to be ended."""

    run: int
    ended: Note | None = None


@distinct
class DeadlinePassed(NamedTuple):
    """It may be time; if it is not, nothing happens."""


Event: TypeAlias = (
    StartAsked
    | StopAsked
    | StopAnnounced
    | RestartAsked
    | Faulted
    | KillAsked
    | Spawned
    | SpawnFailed
    | Exited
    | MainReplaced
    | LeftoversGone
    | DeadlinePassed
)
