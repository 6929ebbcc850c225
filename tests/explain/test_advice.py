"""What is probably not meant, in words, and the hints of a story."""

from __future__ import annotations

import pytest

from supervisor_lite.explain import episodes, story
from supervisor_lite.explain.advice import advice_text
from supervisor_lite.explain.hints import tell_hints
from supervisor_lite.model.advice import Advice, AdviceKind
from supervisor_lite.model.cause import Leftover, Note, NoteKind
from supervisor_lite.model.events import StartAsked
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from tests.explain.chronicle import clock, played
from tests.rules.stage import Run

FULL = Advice(AdviceKind.HOME, ("--a b",), name="cd", instead="that", number=4, seconds=1)
DAEMON = Note(NoteKind.LEFTOVERS_ENDED, processes=(Leftover(8, "nginx", detached=True),))
DONE = Exit(code=0)


@pytest.mark.parametrize("kind", AdviceKind)
def test_every_kind_has_words_of_its_own(kind: AdviceKind) -> None:
    text = advice_text(FULL._replace(kind=kind))
    assert text
    assert text not in {advice_text(FULL._replace(kind=k)) for k in AdviceKind if k is not kind}


def hinted(program: Program, runs: list[Run], until: float = 100) -> list[str]:
    """Return the hints about a program whose runs turn out like this."""
    chronicle = played(program, runs, {10: StartAsked("")}, until)
    known = episodes.Known(
        program=program,
        record=chronicle.record,
        since=chronicle.now,
        due=None,
        changes=chronicle.changes,
        runs=list(chronicle.rows.values()),
        complete=True,
    )
    assert story.tell(known, until, clock)
    return tell_hints(known)


def failing(*command: str) -> Program:
    return Program(name="web", command=command, startretries=1)


def test_what_ends_with_0_too_soon_is_a_job() -> None:
    assert hinted(failing("backup"), [Run(lasts=0.1, exit=DONE)] * 2) == [
        "hint: if it ends by itself: an end within startsecs (1 s) is a failed start, whatever the "
        "exit code, and it is run 2 times; write startsecs = 0 for a job"
    ]
    assert hinted(failing("backup"), [Run(lasts=0.1)] * 2) == []


def test_what_leaves_its_session_is_in_the_background() -> None:
    """Not where something else outlives it, or where it is known by its pid file."""
    runs = [Run(lasts=0.1, exit=DONE, kept=DAEMON)] * 2
    assert hinted(failing("nginx"), runs) == [
        "hint: its main process has ended, and left others in the background; keep it in the "
        "foreground with -g 'daemon off;', or set pidfile to the file in which it writes its pid"
    ]
    (hint,) = hinted(failing("own-daemon"), runs)
    assert "look for its option that keeps it in the foreground" in hint
    known = failing("nginx")._replace(pidfile="/run/nginx.pid")
    assert not any("background" in text for text in hinted(known, runs))
    plain = Note(NoteKind.LEFTOVERS_ENDED, processes=(Leftover(8, "sleep"),))
    others = [Run(lasts=0.1, exit=DONE, kept=plain)] * 2
    assert not any("background" in text for text in hinted(failing("nginx"), others))


def test_words_of_a_shell_are_told_where_it_fails() -> None:
    command = ("srv", "&&", "other")
    (hint,) = hinted(failing(*command), [Run(lasts=0.1)] * 2)
    assert hint.startswith('hint: "&&" is an argument here')
    assert hinted(failing(*command), [Run(lasts=None)]) == []
