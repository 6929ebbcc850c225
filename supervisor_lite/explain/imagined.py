"""The state machine in an imagined world where every start fails at once."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from supervisor_lite.explain.cause import given_up_text
from supervisor_lite.explain.tries import of_all
from supervisor_lite.model.actions import Spawn
from supervisor_lite.model.events import DeadlinePassed, Event, Exited, Spawned
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import State
from supervisor_lite.rules.lifecycle import step
from supervisor_lite.text import duration

_MOST_ENDS = 300
"""Failed starts that are imagined; a policy that goes on after them is told as far as that."""


IMAGINED_RUN = 0
"""The id of every imagined run: with it, the jitter of a pause is nothing (rules/backoff.py)."""


_PID = 1


class Moment(NamedTuple):
    """Something that will happen."""

    at: float
    """Seconds from now; with jitter, at the earliest."""
    what: str


class ImaginedWorld:
    """Plays one process whose every start fails at once, and writes down when what happens."""

    def __init__(self, program: Program, record: Record, now: float) -> None:
        self._program = program
        self.record = record
        self._began = self._now = now
        self.moments: list[Moment] = []
        self._failure = failure(program)
        self._last_end: tuple[Record, float] | None = None
        self._ends = 0
        self._cooled = False

    def play(self, events: tuple[Event, ...]) -> None:
        """Let these events happen now, and then all that follows from them."""
        queue = deque(events)
        while queue or self.record.deadline is not None:
            if queue:
                event = queue.popleft()
            else:
                assert self.record.deadline is not None
                self._now = max(self._now, self.record.deadline)
                event = DeadlinePassed()
            before = self.record
            self.record, actions = step(self._program, before, event, self._now)
            self._note(before)
            if any(isinstance(action, Spawn) for action in actions):
                queue += (
                    Spawned(IMAGINED_RUN, _PID),
                    DeadlinePassed(),
                    Exited(IMAGINED_RUN, self._failure),
                )
            if isinstance(event, Exited) and self._is_enough():
                return

    def _note(self, before: Record) -> None:
        record = self.record
        if record.state is State.STARTING and before.state is not State.STARTING:
            self._add(spawn_in_words(self._program, before))
        elif record.state is State.FATAL and before.state is not State.FATAL:
            assert record.cause is not None
            self._add(f"FATAL: gave up {given_up_text(record.cause)}")
        elif record.state is State.EXITED and record.deadline is None and before.pid is not None:
            self._add("EXITED, and not started again")
        limit = self._program.restart_limit
        cools = record.cooling and not before.cooling and not self._cooled
        if cools and limit is not None and limit.cooldown is not None:
            self._cooled = True  # said once: from now on every try has a pause before it
            used = f"{limit.restarts} automatic starts in {duration(limit.window)}"
            self._add(f"{used} are used up: a pause of {duration(limit.cooldown)}")

    def _add(self, what: str) -> None:
        self.moments.append(Moment(round(self._now - self._began, 6), what))

    def _is_enough(self) -> bool:
        """Is this where it was after the last failure, so that it goes on like that for ever?"""
        self._ends += 1
        here = self._relative()
        if self._last_end is not None and self._last_end[0] == here:
            self._add(f"and so on, every {duration(self._now - self._last_end[1])}, without an end")
            return True
        self._last_end = (here, self._now)
        if self._ends < _MOST_ENDS:
            return False
        self._add("and so on: farther than this is not told")
        return True

    def _relative(self) -> Record:
        """Return the record with times from now, and without what decides nothing."""

        def ago(time: float) -> float:
            return round(time - self._now, 6)

        record = self.record
        return record._replace(
            spawned=None,
            deadline=None if record.deadline is None else ago(record.deadline),
            restarts=tuple(map(ago, record.restarts)),
            restart_count=0,
            cause=None,
        )


def spawn_in_words(program: Program, before: Record) -> str:
    """Name the next spawn: a start, a try, a restart."""
    if before.asked:
        return "start"
    cooled = " after the pause" if before.cooling else ""
    if before.state is State.BACKOFF:
        return f"try {before.failures + 1}{of_all(program)}{cooled}"
    return f"restart{cooled}"


def failure(program: Program) -> Exit:
    """Return an end that this program does not expect."""
    code = next((code for code in range(1, 256) if code not in program.exitcodes), None)
    return Exit(code=code) if code is not None else Exit(signal="SIGKILL")
