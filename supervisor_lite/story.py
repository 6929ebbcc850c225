"""Tell why a process is where it is: the chain of causes, in sentences, the newest first.

Made from what the journal knows (changes, runs) and from the record; nothing here asks the world.
Texts that come from programs (names of leftovers, last words) are passed on as they are: whoever
shows them makes them harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from supervisor_lite.journal import FOUND_ENDED, TAKEN_OVER
from supervisor_lite.model.change import Change
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.run import RunRow
from supervisor_lite.model.states import QUIET, State
from supervisor_lite.rules.words import duration, reason

MOST_LINES = 60
"""Lines that are told of one process."""

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


@dataclass(slots=True)
class _Episode:
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


def tell(known: Known, now: float, clock: Callable[[float], str]) -> list[str]:
    """Return the story, line by line: first what it is now, then why, the newest cause first."""
    episodes = _Reader(known).episodes()[::-1]
    lines = [_head(known, now, clock)]
    for index, (_, group) in enumerate(groupby(episodes, lambda episode: episode.kind)):
        told = _told(list(group), known.program, clock)
        if index == 0 and known.record.state is State.FATAL and told[0].startswith("gave up"):
            told[0] += f"; next: fix it, then slctl start {known.program.fullname}"
        if len(lines) + len(told) > MOST_LINES:
            lines.append("… and more before that: see slctl events and slctl runs")
            return lines
        lines += told
    if not known.complete:
        lines.append("… and more before that: see slctl events and slctl runs")
    elif not known.changes:
        lines.append("the journal knows of nothing that has happened to it")
    return lines


def local_clock(now: float) -> Callable[[float], str]:
    """Return how to show times: the hour alone if it was today, in the zone of this machine."""
    today = datetime.fromtimestamp(now).date()

    def clock(seconds: float) -> str:
        moment = datetime.fromtimestamp(seconds)
        return f"{moment:%H:%M:%S}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M:%S}"

    return clock


def span(seconds: float) -> str:
    """Return a duration in words, in milliseconds where it is short."""
    if seconds < 0.095:
        return f"{max(round(seconds * 1000), 0)} ms"
    return duration(seconds)


# What it is now.


def _head(known: Known, now: float, clock: Callable[[float], str]) -> str:
    program, record = known.program, known.record
    why = reason(program, record)
    if record.run is None and record.state is State.STOPPED:
        return f"{program.fullname} is STOPPED: it was not started"
    since = f"since {clock(known.since)} ({span(max(0.0, now - known.since))})"
    line = f"{program.fullname} is {record.state.name} {since}"
    facts = [f"pid {record.pid}, run {record.run}"] if record.pid is not None else []
    # The next line says why it is down, unless the journal does not know.
    told = bool(known.changes) and known.changes[-1].to_state == record.state.name
    if record.state not in QUIET or known.due is not None or not told:
        facts.append(why)
    if known.due is not None:
        facts.append(f"next start {clock(known.due)}")
    if record.state is State.STOPPING and record.by:
        facts.append(f"asked by {record.by}")
    return ": ".join([line, "; ".join(filter(None, facts))]).removesuffix(": ")


# What happened.


class _Reader:
    """Reads changes, the oldest first, into episodes."""

    def __init__(self, known: Known) -> None:
        self._program = known.program
        self._changes = known.changes
        self._runs = {row.run: row for row in known.runs}
        self._numbers = sorted(self._runs)
        self._place = 0
        self._started: float | None = None
        """When the last start was, as far as changes tell."""

    def episodes(self) -> list[_Episode]:
        found: list[_Episode] = []
        while self._place < len(self._changes):
            change = self._changes[self._place]
            self._place += 1
            episode = self._read(change)
            if episode is not None:
                found.append(episode)
        return found

    def _read(self, change: Change) -> _Episode | None:
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
                return _Episode("stopped", change.time, _asked(change, change.from_state))
            case "FATAL":
                return _Episode("gave up", change.time, change.cause.removeprefix("gave up"))
            case _:
                return _Episode("changed", change.time, f" to {change.to_state}: {change.cause}")

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

    def _on_starting(self, change: Change) -> _Episode | None:
        self._started = change.time
        if change.from_state == "BACKOFF" and change.cause.startswith("try "):
            return None  # it is told when it has failed or succeeded
        if change.from_state == "EXITED" and change.cause.startswith("restart after"):
            rest = f": {change.cause.removeprefix('restart ')}{_also(change.note)}"
            return _Episode("restarted", change.time, rest)
        asked = _asked(change, "") + _also(change.note)
        if self._comes("BACKOFF"):
            return _Episode("start asked", change.time, asked)
        up = self._take("RUNNING")
        if up is None:
            return _Episode("started", change.time, asked)
        after = "" if up.time - change.time < 0.001 else f" {span(up.time - change.time)} later"
        rest = f"{asked}; run {up.run} (pid {up.pid}) was RUNNING{after or ' at once'}"
        return _Episode("started", change.time, rest)

    def _on_running(self, change: Change) -> _Episode | None:
        if self._started is None:
            return None  # its start is not among the changes any more
        before = self._changes[self._place - 2] if self._place > 1 else None
        if before is None or not before.cause.startswith("try "):
            return None  # told with its start or restart
        what = f" at {before.cause}: run {change.run} (pid {change.pid}), {change.cause}"
        return _Episode("started", change.time, what)

    def _on_backoff(self, change: Change) -> _Episode:
        lasted = self._lasted(change)
        how = change.cause
        failed = change.exitcode is None and change.signal is None and not how.startswith("ended")
        return _Episode(
            "failed to start",
            change.time,
            "",
            how=how,
            after=_also(change.note),
            lasted=None if failed else lasted,
            number=change.tries,
            words=change.last_words.splitlines(),
        )

    def _on_exited(self, change: Change) -> _Episode:
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
            return _Episode("exited", change.time, rest, how, aside, after, lasted)
        self._started = again.time
        self._take("RUNNING")
        left = again.note if again.note != change.note else ""
        following = _also(left) + self._next_run(change, again)
        rest += following
        after += following
        return _Episode("restarted", again.time, rest, how, aside, after, lasted)

    def _on_stopping(self, change: Change) -> _Episode:
        stopped = self._take("STOPPED")
        if stopped is None:
            return _Episode("stop begun", change.time, _asked(change, ""))
        details = self._ending(change, stopped)
        again = None
        if self._comes("STARTING") and self._changes[self._place].cause == change.cause:
            again = self._take("STARTING")
        if again is None:
            # What began as a restart may have become a stop: then that is what it is down for.
            asked = stopped if stopped.cause == "stop asked" != change.cause else change
            return _Episode("stopped", stopped.time, f"{_asked(asked, '')}; {details}")
        self._started = again.time
        rest = f"{_asked(change, '')}; {details}"
        if not self._comes("BACKOFF"):
            self._take("RUNNING")
            rest += self._next_run(stopped, again)
        return _Episode("restarted", again.time, rest)

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


def _noted(change: Change) -> _Episode:
    for verb in (TAKEN_OVER, FOUND_ENDED):
        if change.cause.startswith(verb):
            return _Episode(verb, change.time, change.cause.removeprefix(verb))
    return _Episode("noted", change.time, f": {change.cause}")


def _asked(change: Change, state: str) -> str:
    """Return who asked for it, or why it was done."""
    told = f" by {change.by}" if change.by else ""
    if change.cause not in _ASKED and change.cause:
        told += f" ({change.cause})" if change.by else f": {change.cause}"
    return f"{told}; it was {state} then" if state else told


def _also(note: str) -> str:
    return f"; {note}" if note else ""


# In words.


def _told(group: list[_Episode], program: Program, clock: Callable[[float], str]) -> list[str]:
    """Return the lines for equal episodes in a row, the newest first."""
    newest = group[0]
    if newest.verb == "failed to start":
        line = _failed(group, program, clock)
    elif len(group) == 1:
        line = f"{newest.verb} {clock(newest.time)}{newest.rest}"
    elif newest.how:
        end = f"{newest.how}{_range(group)}{newest.aside}{newest.after}"
        line = f"{newest.verb} {_times(group, clock)}: {end}"
    else:
        line = f"{newest.verb} {_times(group, clock)}, the last time{newest.rest}"
    if not newest.words:
        return [line]
    return [f"{line}; it said:", *(f"    | {text}" for text in newest.words)]


def _failed(group: list[_Episode], program: Program, clock: Callable[[float], str]) -> str:
    newest, oldest = group[0], group[-1]
    total = program.startretries + 1
    of = f" of {total}" if newest.number <= total else ""
    end = f"{newest.how}{_range(group)}{newest.after}"
    if newest.how in {f"exit {code}" for code in program.exitcodes}:
        # Nothing went wrong, as it seems: so what did?
        end += f", before startsecs ({span(program.startsecs)})"
    if len(group) == 1:
        return f"failed to start {clock(newest.time)} (try {newest.number}{of}): {end}"
    climbing = newest.number - oldest.number == len(group) - 1
    tries = f" (tries {oldest.number} to {newest.number}{of})" if climbing else ""
    return f"failed to start {_times(group, clock)}{tries}: {end}"


def _times(group: list[_Episode], clock: Callable[[float], str]) -> str:
    first, last = clock(group[-1].time), clock(group[0].time)
    when = f"at {first}" if first == last else f"between {first} and {last}"
    return f"{len(group)} times {when}"


def _range(group: list[_Episode]) -> str:
    """Return how long these runs were up."""
    lasted = [episode.lasted for episode in group if episode.lasted is not None]
    if not lasted:
        return ""
    least, most = span(min(lasted)), span(max(lasted))
    return f" after {least}" if least == most else f" after {least} to {most}"
