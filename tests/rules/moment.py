"""One step of the machine, and what was really so around it: what a promise looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from supervisor_lite.model.actions import Action, Spawn
from supervisor_lite.model.events import Event, Spawned, SpawnFailed
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import State
from tests.rules.truth import Truth

MIN_INTERVAL = 0.1
STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL = (
    State.STOPPED, State.STARTING, State.RUNNING, State.BACKOFF, State.STOPPING, State.EXITED,
    State.FATAL,
)  # fmt: skip

WAYS = {
    STOPPED: {STARTING},
    STARTING: {RUNNING, BACKOFF, EXITED, STOPPING, STOPPED},
    RUNNING: {EXITED, STOPPING},
    BACKOFF: {STARTING, FATAL, STOPPED, STOPPING},
    STOPPING: {STOPPED},
    EXITED: {STARTING, FATAL, STOPPED, STOPPING},
    FATAL: {STARTING, STOPPED},
}
"""Where each state may lead to."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One step of the machine, and what was really so around it."""

    program: Program
    truth: Truth
    before: Record
    event: Event
    now: float
    after: Record
    actions: tuple[Action, ...]
    later: Truth
    """What is so after the step."""

    @property
    def ended_now(self) -> bool:
        """The live main process ended with this event."""
        return self.truth.alive and not self.later.alive

    @property
    def answered(self) -> bool:
        """The event is the answer to Spawn."""
        return isinstance(self.event, Spawned | SpawnFailed)

    @property
    def spawns(self) -> bool:
        """A run is to be started."""
        return Spawn() in self.actions

    @property
    def moved(self) -> bool:
        """The state is another one."""
        return self.after.state is not self.before.state


Rule = Callable[[Moment], bool]


def waiting(record: Record) -> float | None:
    """Return when the next spawn is due; leftovers that are being ended do not change it."""
    return record.due if record.leftovers else record.deadline
