"""Changes and runs of one process, put together to the episodes of its story."""

from __future__ import annotations

from collections.abc import Sequence

from supervisor_lite.explain.cause import (
    cause_text,
    daemon_text,
    end_text,
    ended_text,
    given_up_text,
    notes_text,
)
from supervisor_lite.explain.episodes import Episode, Known, Verb
from supervisor_lite.model.cause import LISTENER_TROUBLE, Cause, CauseKind, Note, NoteKind
from supervisor_lite.model.change import Change
from supervisor_lite.text import plural, span

_ASKED = frozenset({CauseKind.START_ASKED, CauseKind.RESTART_ASKED, CauseKind.STOP_ASKED})
"""Causes that say no more than the verb of their episode."""

_NOTES = {
    CauseKind.TAKEN_OVER: Verb.TAKEN_OVER,
    CauseKind.FOUND_ENDED: Verb.FOUND_ENDED,
    CauseKind.MAIN_REPLACED: Verb.REPLACED,
}
"""Causes of changes from a state to the same one."""

_DONE_TO_IT = {
    CauseKind.SIGNAL_SENT: Verb.SIGNALLED,
    CauseKind.INPUT_SENT: Verb.INPUT_SENT,
    CauseKind.LOG_CLEARED: Verb.LOG_CLEARED,
    CauseKind.REMOVED: Verb.REMOVED,
    CauseKind.NO_LONGER_DEFINED: Verb.REMOVED,
    CauseKind.ADDED: Verb.ADDED,
    CauseKind.ADDED_BY_UPDATE: Verb.ADDED,
    **dict.fromkeys(LISTENER_TROUBLE, Verb.LISTENED_BADLY),
}
"""The same, of what somebody did to it; it may come between any two other changes."""


class EpisodeReader:
    """Reads changes, the oldest first, into episodes."""

    def __init__(self, known: Known) -> None:
        self._program = known.program
        self._done = [change for change in known.changes if _is_done_to_it(change)]
        self._changes = [change for change in known.changes if not _is_done_to_it(change)]
        self._runs = {row.run: row for row in known.runs}
        self._numbers = sorted(self._runs)
        self._index = 0
        self._started: float | None = None
        """When the last start was, as far as changes tell."""

    def episodes(self) -> list[Episode]:
        """Return what happened, the oldest first."""
        found: list[Episode] = []
        done = [_done_to_it(change) for change in self._done][::-1]
        while self._index < len(self._changes):
            change = self._changes[self._index]
            self._index += 1
            episode = self._read(change)
            if episode is None:
                continue
            while done and done[-1].time < episode.time:
                found.append(done.pop())
            found.append(episode)
        return found + done[::-1]

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
                return Episode(Verb.STOPPED, change.time, _asked(change, change.from_state))
            case "FATAL":
                return Episode(Verb.GAVE_UP, change.time, _given_up(change.cause))
            case _:
                what = f" to {change.to_state}: {cause_text(change.cause)}"
                return Episode(Verb.CHANGED, change.time, what)

    def _take(self, state: str, kind: CauseKind | None = None) -> Change | None:
        """Return the next change if it leads to this state (by this cause), and step over it."""
        if self._index < len(self._changes):
            change = self._changes[self._index]
            fits = kind is None or _is(change, kind)
            if fits and change.to_state == state and change.from_state != state:
                self._index += 1
                return change
        return None

    def _comes(self, state: str) -> bool:
        index = self._index
        return index < len(self._changes) and self._changes[index].to_state == state

    def _on_starting(self, change: Change) -> Episode | None:
        self._started = change.time
        if _is(change, CauseKind.RETRY):
            return None  # it is told when it has failed or succeeded
        if change.cause is not None and change.cause.kind is CauseKind.RESTARTED:
            rest = f": after {ended_text(change.cause)}{_also(change.notes)}"
            return Episode(Verb.RESTARTED, change.time, rest)
        asked = _asked(change) + _also(change.notes)
        if self._comes("BACKOFF"):
            return Episode(Verb.START_ASKED, change.time, asked)
        up = self._take("RUNNING")
        if up is None:
            return Episode(Verb.STARTED, change.time, asked)
        after = "" if up.time - change.time < 0.001 else f" {span(up.time - change.time)} later"
        rest = f"{asked}; run {up.run} (pid {up.pid}) was RUNNING{after or ' at once'}"
        return Episode(Verb.STARTED, change.time, rest)

    def _on_running(self, change: Change) -> Episode | None:
        if self._started is None:
            return None  # its start is not among the changes any more
        before = self._changes[self._index - 2] if self._index > 1 else None
        if before is None or not _is(before, CauseKind.RETRY):
            return None  # told with its start or restart
        which, why = cause_text(before.cause), cause_text(change.cause)
        what = f" at {which}: run {change.run} (pid {change.pid}), {why}"
        return Episode(Verb.STARTED, change.time, what)

    def _on_backoff(self, change: Change) -> Episode:
        return Episode(
            Verb.FAILED_TO_START,
            change.time,
            "",
            cause=change.cause,
            end=cause_text(change.cause),
            after=_also(change.notes),
            lasted=None if _is(change, CauseKind.SPAWN_FAILED) else self._lasted(change),
            number=change.tries,
            words=change.last_words.splitlines(),
        )

    def _on_exited(self, change: Change) -> Episode:
        end = end_text(change.cause)
        lasted = self._lasted(change)
        aside = " (expected)" if change.expected else " (unexpected)"
        up = f"{end_glue(change.cause)} after {span(lasted)}" if lasted is not None else ""
        after = _also(change.notes)
        again = self._take("STARTING", CauseKind.RESTARTED)
        if again is not None:
            self._started = again.time
            self._take("RUNNING")
            left = again.notes if again.notes != change.notes else ()
            after += _also(left) + self._next_run(change, again)
        rest = f": run {change.run} {end}{up}{aside}{after}"
        verb, time = (Verb.EXITED, change.time) if again is None else (Verb.RESTARTED, again.time)
        return Episode(verb, time, rest, change.cause, end, aside, after, lasted)

    def _on_stopping(self, change: Change) -> Episode:
        stopped = self._take("STOPPED")
        if stopped is None:
            return Episode(Verb.STOP_BEGUN, change.time, _asked(change))
        details = self._ending(change, stopped)
        again = None
        if self._comes("STARTING") and self._changes[self._index].cause == change.cause:
            again = self._take("STARTING")
        if again is None:
            # What began as a restart may have become a stop: then that is what it is down for.
            became = not _is(change, CauseKind.STOP_ASKED) and _is(stopped, CauseKind.STOP_ASKED)
            asked = _asked(stopped if became else change)
            return Episode(Verb.STOPPED, stopped.time, f"{asked}; {details}")
        self._started = again.time
        rest = f"{_asked(change)}; {details}"
        if not self._comes("BACKOFF"):
            self._take("RUNNING")
            rest += self._next_run(stopped, again)
        return Episode(Verb.RESTARTED, again.time, rest)

    def _ending(self, stopping: Change, stopped: Change) -> str:
        """Return how a process was made to end."""
        if stopping.from_state not in ("STARTING", "RUNNING"):
            return notes_text(stopped.notes) or "nothing but leftovers was alive"
        asked, notes = self._program.stopsignal, stopped.notes
        if notes and notes[0].kind is NoteKind.KILLED:
            return f"{asked}, {notes_text(notes)}"
        took = span(max(0.0, stopped.time - stopping.time))
        row = self._runs.get(stopped.run or 0)
        code, signal = stopped.exitcode, stopped.signal
        if row is not None and code is None and signal is None:
            code, signal = row.code, row.signal
            took = span(max(0.0, (row.ended or stopped.time) - stopping.time))
        end = f"ended by {signal}" if signal else "ended" if code is None else f"exit {code}"
        return f"{asked}, {end} after {took}{_also(notes)}"

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


def _is_done_to_it(change: Change) -> bool:
    """Is it no change of state, but what somebody did?"""
    same = change.from_state == change.to_state
    return same and change.cause is not None and change.cause.kind in _DONE_TO_IT


def _done_to_it(change: Change) -> Episode:
    assert change.cause is not None
    by = f" by {change.by}" if change.by else ""
    match change.cause.kind:
        case CauseKind.SIGNAL_SENT:
            by = f": {change.cause.signal}{by}"
        case kind if kind in LISTENER_TROUBLE:
            by = f": {cause_text(change.cause)}"
        case CauseKind.INPUT_SENT:
            by = f": {plural(change.cause.used or 0, 'byte', 'bytes')}{by}"
    return Episode(_DONE_TO_IT[change.cause.kind], change.time, by)


def _noted(change: Change) -> Episode:
    cause = change.cause
    verb = _NOTES.get(cause.kind) if cause is not None else None
    if cause is None or verb is None:
        return Episode(Verb.NOTED, change.time, f": {cause_text(cause)}")
    if cause.kind is CauseKind.MAIN_REPLACED:
        return Episode(verb, change.time, f": {cause.number} by {cause.pid}")
    return Episode(verb, change.time, f" {daemon_text(cause)}{_also(change.notes)}")


def end_glue(cause: Cause | None) -> str:
    """Return what goes between the end of a run in words and how long it was up.

    Words of who has sent a signal end with what he has typed.
    """
    return ";" if cause is not None and cause.exit is not None and cause.exit.sent_by else ""


def _is(change: Change, kind: CauseKind) -> bool:
    return change.cause is not None and change.cause.kind is kind


def _asked(change: Change, state: str = "") -> str:
    """Return who asked for it, or why it was done; `state`: where the process was then."""
    asked = f" by {change.by}" if change.by else ""
    if change.cause is not None and change.cause.kind not in _ASKED:
        why = cause_text(change.cause)
        asked += f" ({why})" if change.by else f": {why}"
    return f"{asked}; it was {state} then" if state else asked


def _given_up(cause: Cause | None) -> str:
    if cause is None or cause.number is None:
        return f": {cause_text(cause)}"
    return f" {given_up_text(cause)}: {ended_text(cause)}"


def _also(notes: Sequence[Note]) -> str:
    return f"; {notes_text(notes)}" if notes else ""
