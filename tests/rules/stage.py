"""A stage: one process, a clock that jumps, and a world that answers as the play says.

Carries out what `step` asks for, as supervisor.py does, without any process: a spawn succeeds or
fails, the process ends by itself or of a signal, leftovers go. Everything that can be seen is
written down, in lines such as `3 BACKOFF` or `13 send KILL`. While it plays, every step is held
against the invariants.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count, repeat

from supervisor_lite.errors import SpawnErrorCode
from supervisor_lite.explain.cause import cause_text, notes_text
from supervisor_lite.model.actions import Action, Signal, SignalLeftovers, Spawn
from supervisor_lite.model.cause import Leftover, Note, NoteKind, SpawnFailure
from supervisor_lite.model.events import (
    DeadlinePassed,
    Event,
    Exited,
    LeftoversGone,
    Spawned,
    SpawnFailed,
)
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from tests.rules import truth as truths
from tests.rules.invariants import broken
from tests.rules.machine import FAILED, REAL, Machine
from tests.rules.moment import Moment
from tests.rules.truth import Truth

MANY = 10_000
"""Events after which a play that does not end is a bug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How one spawn turns out."""

    error: str = ""
    """There is no process, and this is why."""
    lasts: float | None = None
    """Seconds until it ends by itself; None: never."""
    exit: Exit = FAILED
    """How it ends by itself."""
    obeys: float | None = 0.0
    """Seconds from the stop signal to its end; None: only SIGKILL ends it."""
    handles: Exit | None = None
    """How it ends when it has obeyed; None: of the signal itself."""
    leaves: float | None = None
    """It leaves descendants, which end so many seconds after the stop signal; None: none left."""
    kept: Note | None = None
    """Descendants that it leaves and that are left alone."""


DEAF = float("inf")
"""For `leaves`: descendants that only SIGKILL ends."""


class Broken(AssertionError):
    """A step broke a promise."""


class Stage:
    """Plays a program; `runs` says how each spawn turns out, the last of them for ever."""

    def __init__(
        self,
        program: Program,
        runs: Iterable[Run] = (Run(),),
        *,
        machine: Machine = REAL,
        check: bool = True,
    ) -> None:
        self.program = program
        self.machine = machine
        self.record = machine.start
        self.truth = Truth()
        self.now = 0.0
        self.seen: list[str] = []
        """`5 STOPPING`, `5 send TERM`."""
        self.told: list[str] = []
        """`5 STOPPING: stop asked by ann`, with a note in brackets where there is one."""
        self.spawns: list[float] = []
        self._runs = _endless(runs)
        self._run = Run()
        self._check = check
        self._ids = count(1)
        self._order = count()
        self._coming: list[tuple[float, int, Event]] = []

    def ask(self, event: Event, at: float | None = None) -> None:
        """Let an event happen now or later."""
        moment = self.now if at is None else at
        heapq.heappush(self._coming, (moment, next(self._order), event))

    def play(self, until: float) -> None:
        """Let time pass; whatever is due happens, the deadline first."""
        for _ in range(MANY):
            deadline = self.record.deadline
            due = self._coming[0][0] if self._coming else None
            if deadline is not None and deadline <= until and (due is None or deadline <= due):
                self.now = max(self.now, deadline)
                self._feed(DeadlinePassed())
            elif due is not None and due <= until:
                self.now = due
                self._feed(heapq.heappop(self._coming)[2])
            else:
                self.now = until
                return
        raise Broken(f"no end at {self.now:g} s: {self.seen[-10:]}")

    def _feed(self, event: Event) -> None:
        """Let one event happen, with everything that follows from it at once."""
        queue = [event]
        for happened in queue:
            for action in self._step(happened):
                queue += self._carry_out(action)
            due = self.record.deadline
            if happened is queue[-1] and due is not None and due <= self.now:
                queue.append(DeadlinePassed())
            if len(queue) > MANY:
                raise Broken(f"no end of deadlines at {self.now:g} s")

    def _step(self, event: Event) -> tuple[Action, ...]:
        before, truth = self.record, self.truth
        self.record, actions = self.machine.step(self.program, before, event, self.now)
        self.truth = truths.after(self.program, truth, event, actions, self.now)
        if self.record.state is not before.state:
            self._note(self.record.state.name)
            by = f" by {self.record.by}" if self.record.by else ""
            notes = notes_text(self.record.notes)
            note = f" [{notes}]" if notes else ""
            self.told.append(f"{self.seen[-1]}: {cause_text(self.record.cause)}{by}{note}")
        if self._check:
            moment = Moment(
                self.program, truth, before, event, self.now, self.record, actions, self.truth
            )
            for rule in broken(moment):
                raise Broken(f"{rule} at {self.now:g} s: {before} + {event} -> {self.record}")
        return actions

    def _carry_out(self, action: Action) -> Iterator[Event]:
        match action:
            case Spawn():
                yield self._spawn()
            case Signal(name, group):
                self._note(f"send {name}" + (" to the group" if group else ""))
                if self.truth.alive:
                    self._signal(name)
            case SignalLeftovers(name, told):
                others = " outside the group" if told is not None else ""
                self._note(f"send {name} to leftovers{others}")
                self._end_leftovers(name)

    def _spawn(self) -> Event:
        run = next(self._ids)
        self.spawns.append(self.now)
        self._run = next(self._runs)
        if self._run.error:
            return SpawnFailed(run, SpawnFailure(SpawnErrorCode.OTHER, self._run.error))
        if self._run.lasts is not None:
            self.ask(self._exited(run, self._run.exit), self.now + self._run.lasts)
        return Spawned(run, 1000 + run)

    def _signal(self, name: str) -> None:
        run = self.truth.run
        assert run is not None
        if name == "KILL":
            self.ask(self._exited(run, Exit(signal="SIGKILL")))
        elif self._run.obeys is not None:
            end = self._run.handles or Exit(signal=f"SIG{name}")
            self.ask(self._exited(run, end), self.now + self._run.obeys)

    def _exited(self, run: int, exit: Exit) -> Exited:  # noqa: A002 the field's word
        return Exited(run, exit, leftovers=self._run.leaves is not None, kept=self._run.kept)

    def _end_leftovers(self, name: str) -> None:
        run, after = self.truth.run, self._run.leaves
        assert run is not None
        kind = NoteKind.LEFTOVERS_KILLED if name == "KILL" else NoteKind.LEFTOVERS_ENDED
        gone = LeftoversGone(run, Note(kind, processes=(Leftover(8, "sleep"),)))
        if name == "KILL":
            self.ask(gone)
        elif after is not None and after != DEAF:
            self.ask(gone, self.now + after)

    def _note(self, text: str) -> None:
        self.seen.append(f"{round(self.now, 3):g} {text}")


def _endless(runs: Iterable[Run]) -> Iterator[Run]:
    known = tuple(runs)
    return chain(known, repeat(known[-1]))
