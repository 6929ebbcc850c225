"""Episodes: what happened to one process, as a person would tell it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from supervisor_lite.model.cause import Cause
from supervisor_lite.model.change import Change
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.run import RunRow


class Verb(Enum):
    """What happened, in the word that a story uses for it."""

    START_ASKED = "start asked"
    STARTED = "started"
    RESTARTED = "restarted"
    FAILED_TO_START = "failed to start"
    EXITED = "exited"
    STOP_BEGUN = "stop begun"
    STOPPED = "stopped"
    GAVE_UP = "gave up"
    CHANGED = "changed"
    TAKEN_OVER = "taken over"
    REPLACED = "main process replaced"
    FOUND_ENDED = "found ended"
    NOTED = "noted"
    SIGNALLED = "signalled"
    INPUT_SENT = "input sent"
    LOG_CLEARED = "log cleared"
    REMOVED = "taken out of use"
    ADDED = "added"
    LISTENED_BADLY = "in trouble as an event listener"


_ONCE = frozenset({Verb.TAKEN_OVER, Verb.FOUND_ENDED, Verb.INPUT_SENT, Verb.LOG_CLEARED})
"""What is told once with its number however the episodes differ."""


class Known(NamedTuple):
    """What is known of one process when its story is told. Times are wall-clock seconds."""

    program: Program
    record: Record
    since: float
    """When its state was entered."""
    due: float | None
    """When the next spawn is due, if it waits for one."""
    changes: Sequence[Change]
    """The latest ones, the oldest first."""
    runs: Sequence[RunRow]
    """The runs of these changes, in any order."""
    complete: bool
    """There is nothing in the journal before these changes."""


@dataclass(slots=True)
class Episode:
    """One thing that happened, which may take several changes of state."""

    verb: Verb
    time: float
    rest: str
    """What follows the time."""
    cause: Cause | None = None
    """Why a run ended, or why there was none, where that is what the episode is about."""
    end: str = ""
    """The same in words."""
    aside: str = ""
    """Whether that was expected."""
    after: str = ""
    """What came after that: leftovers, the next run."""
    lasted: float | None = None
    """How long that run was up."""
    number: int = 0
    """Which try this was."""
    words: list[str] = field(default_factory=list)
    """Its last words, line by line."""

    @property
    def sameness(self) -> tuple[object, ...]:
        """What is equal in episodes that are told once, with their number."""
        if self.verb in _ONCE:
            return (self.verb,)
        return (self.verb, self.cause) if self.cause is not None else (self.verb, self.rest)

    @property
    def exit(self) -> Exit | None:
        """How the run ended that the episode is about."""
        return self.cause.exit if self.cause is not None else None
