"""Changes and runs of one process, put together to episodes that a person would tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from supervisor_lite.model.change import FOUND_ENDED, TAKEN_OVER, Change
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.run import RunRow
from supervisor_lite.text import span


@dataclass(slots=True)
class Episode:
    """One thing that happened, which may take several changes of state."""

    verb: str
    time: float
    rest: str
    """What follows the time."""
    how: str = ""
    """How a run ended, where that is what the episode is about."""
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
    def kind(self) -> tuple[str, str, str]:
        """What makes episodes equal, for telling them once."""
        same = "" if self.verb in (TAKEN_OVER, FOUND_ENDED) else self.rest
        return self.verb, self.how, self.aside if self.how else same


class EpisodeReader:
    """Reads changes, the oldest first, into episodes."""

    def __init__(self, known: Known) -> None:
        self._program = known.program
        self._changes = known.changes
        self._runs = {row.run: row for row in known.runs}
        self._numbers = sorted(self._runs)
        self._place = 0
        self._started: float | None = None
        """When the last start was, as far as changes tell."""

    def episodes(self) -> list[Episode]:
        """Return what happened, the oldest first."""
        found: list[Episode] = []
        while self._place < len(self._changes):
            change = self._changes[self._place]
            self._place += 1
            episode = self._read(change)
            if episode is not None:
                found.append(episode)
        return found

    def _read(self, change: Change) -> Episode | None:
        if change.from_state == change.to_state:
            return _noted(change)
        match change.to_state:
            case "STARTING":
                return self._on_starting(change)
            case "RUNNING":
                return self._on_running(change)
            case "BACKOFF":
                return self._on_backoff(change)
            case "EXITED":
                return self._on_exited(change)
            case "STOPPING":
                return self._on_stopping(change)
            case "STOPPED":
                # Nothing of it was alive: it was only kept from starting.
                return Episode("stopped", change.time, _asked(change, change.from_state))
            case "FATAL":
                return Episode("gave up", change.time, change.cause.removeprefix("gave up"))
            case _:
                return Episode("changed", change.time, f" to {change.to_state}: {change.cause}")

    def _take(self, state: str) -> Change | None:
        """Return the next change if it leads to this state, and step over it."""
        if self._place < len(self._changes):
            change = self._changes[self._place]
            if change.to_state == state and change.from_state != state:
                self._place += 1
                return change
        return None

    def _comes(self, state: str) -> bool:
        place = self._place
        return place < len(self._changes) and self._changes[place].to_state == state

    def _on_starting(self, change: Change) -> Episode | None:
        self._started = change.time
        if change.from_state == "BACKOFF" and change.cause.startswith("try "):
            return None  # it is told when it has failed or succeeded
        if change.from_state == "EXITED" and change.cause.startswith("restart after"):
            rest = f": {change.cause.removeprefix('restart ')}{_also(change.note)}"
            return Episode("restarted", change.time, rest)
        asked = _asked(change, "") + _also(change.note)
        if self._comes("BACKOFF"):
            return Episode("start asked", change.time, asked)
        up = self._take("RUNNING")
        if up is None:
            return Episode("started", change.time, asked)
        after = "" if up.time - change.time < 0.001 else f" {span(up.time - change.time)} later"
        rest = f"{asked}; run {up.run} (pid {up.pid}) was RUNNING{after or ' at once'}"
        return Episode("started", change.time, rest)

    def _on_running(self, change: Change) -> Episode | None:
        if self._started is None:
            return None  # its start is not among the changes any more
        before = self._changes[self._place - 2] if self._place > 1 else None
        if before is None or not before.cause.startswith("try "):
            return None  # told with its start or restart
        what = f" at {before.cause}: run {change.run} (pid {change.pid}), {change.cause}"
        return Episode("started", change.time, what)

    def _on_backoff(self, change: Change) -> Episode:
        lasted = self._lasted(change)
        how = change.cause
        failed = change.exitcode is None and change.signal is None and not how.startswith("ended")
        return Episode(
            "failed to start",
            change.time,
            "",
            how=how,
            after=_also(change.note),
            lasted=None if failed else lasted,
            number=change.tries,
            words=change.last_words.splitlines(),
        )

    def _on_exited(self, change: Change) -> Episode:
        lasted = self._lasted(change)
        how = change.cause.removesuffix(" (expected)").removesuffix(" (not expected)")
        how = how.replace("killed by", "ended by", 1)
        how = f"ended with {how}" if how.startswith("exit ") else how
        aside = " (expected)" if change.expected else " (unexpected)"
        up = f" after {span(lasted)}" if lasted is not None else ""
        rest = f": run {change.run} {how}{up}{aside}{_also(change.note)}"
        after = _also(change.note)
        again = None
        if self._comes("STARTING") and self._changes[self._place].cause.startswith("restart after"):
            again = self._take("STARTING")
        if again is None:
            return Episode("exited", change.time, rest, how, aside, after, lasted)
        self._started = again.time
        self._take("RUNNING")
        left = again.note if again.note != change.note else ""
        following = _also(left) + self._next_run(change, again)
        rest += following
        after += following
        return Episode("restarted", again.time, rest, how, aside, after, lasted)

    def _on_stopping(self, change: Change) -> Episode:
        stopped = self._take("STOPPED")
        if stopped is None:
            return Episode("stop begun", change.time, _asked(change, ""))
        details = self._ending(change, stopped)
        again = None
        if self._comes("STARTING") and self._changes[self._place].cause == change.cause:
            again = self._take("STARTING")
        if again is None:
            # What began as a restart may have become a stop: then that is what it is down for.
            asked = stopped if stopped.cause == "stop asked" != change.cause else change
            return Episode("stopped", stopped.time, f"{_asked(asked, '')}; {details}")
        self._started = again.time
        rest = f"{_asked(change, '')}; {details}"
        if not self._comes("BACKOFF"):
            self._take("RUNNING")
            rest += self._next_run(stopped, again)
        return Episode("restarted", again.time, rest)

    def _ending(self, stopping: Change, stopped: Change) -> str:
        """Return how a process was made to end."""
        if stopping.from_state not in ("STARTING", "RUNNING"):
            return stopped.note or "nothing but leftovers was alive"
        asked, note = self._program.stopsignal, stopped.note
        if note.startswith("KILL "):
            return f"{asked}, {note}"
        took = span(max(0.0, stopped.time - stopping.time))
        row = self._runs.get(stopped.run or 0)
        code, signal = stopped.exitcode, stopped.signal
        if row is not None and code is None and signal is None:
            code, signal = row.code, row.signal
            took = span(max(0.0, (row.ended or stopped.time) - stopping.time))
        how = f"ended by {signal}" if signal else "ended" if code is None else f"exit {code}"
        return f"{asked}, {how} after {took}{_also(note)}"

    def _lasted(self, change: Change) -> float | None:
        """Return how long the run was up whose end this is."""
        row = self._runs.get(change.run or 0)
        if row is not None and row.spawned is not None and row.ended is not None:
            return max(0.0, row.ended - row.spawned)
        return None if self._started is None else max(0.0, change.time - self._started)

    def _next_run(self, end: Change, again: Change) -> str:
        """Return which run came after, and how soon."""
        number = next((n for n in self._numbers if n > (end.run or 0)), None)
        row = self._runs[number] if number is not None else None
        if row is None or row.spawned is None:
            return ""
        before = self._runs.get(end.run or 0)
        ended = before.ended if before is not None and before.ended is not None else end.time
        return f"; run {row.run} started {span(max(0.0, row.spawned - ended))} later"


def _noted(change: Change) -> Episode:
    for verb in (TAKEN_OVER, FOUND_ENDED):
        if change.cause.startswith(verb):
            return Episode(verb, change.time, change.cause.removeprefix(verb))
    return Episode("noted", change.time, f": {change.cause}")


def _asked(change: Change, state: str) -> str:
    """Return who asked for it, or why it was done."""
    told = f" by {change.by}" if change.by else ""
    if change.cause not in _ASKED and change.cause:
        told += f" ({change.cause})" if change.by else f": {change.cause}"
    return f"{told}; it was {state} then" if state else told


def _also(note: str) -> str:
    return f"; {note}" if note else ""


_ASKED = ("start asked", "restart asked", "stop asked")


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
