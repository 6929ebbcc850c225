"""What is probably wrong with a process that does not stay up, from its definition and history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from supervisor_lite.explain.advice import advice_text
from supervisor_lite.explain.episodes import Known
from supervisor_lite.model.advice import Advice, AdviceKind
from supervisor_lite.model.cause import Note, NoteKind, SpawnFailure
from supervisor_lite.model.change import Change
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import State
from supervisor_lite.rules import background
from supervisor_lite.rules.shell_words import listed, shell_words

_RECENT = 12
"""Changes that are looked at: more than four failed starts make."""

_ENDED = (NoteKind.LEFTOVERS_ENDED, NoteKind.LEFTOVERS_KILLED)


def is_failing(record: Record) -> bool:
    """Does it not stay up, though it should, or has it been given up?"""
    if record.state in (State.BACKOFF, State.FATAL):
        return True
    if record.state is State.EXITED:
        return True
    return bool(record.failures or record.restart_count) and record.wanted


def tell_hints(known: Known, more: Iterable[SpawnFailure | Advice] = ()) -> list[str]:
    """Return what is probably wrong with a process that fails; `more` is what was found besides."""
    if not is_failing(known.record):
        return []
    about = dict.fromkeys([*more, *hints(known)])
    if known.record.error is not None:
        about.pop(known.record.error, None)  # that is said already
    return [
        f"hint: {each.text if isinstance(each, SpawnFailure) else advice_text(each)}"
        for each in about
    ]


def hints(known: Known) -> Iterator[Advice]:
    """Yield what is probably wrong, from what is known of a process that fails."""
    program, recent = known.program, known.changes[-_RECENT:]
    if known.record.error is None:
        yield from shell_words([listed(word) for word in program.command], of_list=True)
    ended_well = any(_ended_well(change) for change in recent)
    if not ended_well:
        return
    notes = [*known.record.notes, *(note for change in recent for note in change.notes)]
    if program.pidfile is None and any(_is_background(note) for note in notes):
        instead = background.stays_with(program.command)
        yield Advice(AdviceKind.GOES_TO_BACKGROUND, instead=instead)
    elif known.record.state in (State.BACKOFF, State.FATAL) and _ended_well(recent[-1]):
        yield Advice(
            AdviceKind.ENDS_AT_ONCE, number=program.startretries + 1, seconds=program.startsecs
        )


def _ended_well(change: Change) -> bool:
    ended = change.cause.exit if change.cause is not None else None
    return ended is not None and ended.code == 0


def _is_background(note: Note) -> bool:
    """Was something ended that had left the session of its main process?"""
    return note.kind in _ENDED and any(process.detached for process in note.processes)
