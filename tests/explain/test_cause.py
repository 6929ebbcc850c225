"""Causes, notes and ends of runs in words."""

from __future__ import annotations

import pytest

from supervisor_lite.errors import SpawnErrorCode
from supervisor_lite.explain.cause import beyond_exit_text, cause_text, end_text, note_text
from supervisor_lite.model.cause import Cause, CauseKind, Leftover, Note, NoteKind, SpawnFailure
from supervisor_lite.model.exit import Exit

FULL = Cause(
    CauseKind.RECORDED, exit=Exit(code=3), number=2, limit=4, seconds=1.5, used=1, pid=7, text="old"
)


@pytest.mark.parametrize("kind", CauseKind)
def test_every_kind_has_words_of_its_own(kind: CauseKind) -> None:
    text = cause_text(FULL._replace(kind=kind))
    others = {cause_text(FULL._replace(kind=other)) for other in CauseKind if other is not kind}
    assert text
    same = (CauseKind.EXITED, CauseKind.EXITED_TOO_SOON, CauseKind.SPAWN_FAILED)
    assert text not in others or kind in same


@pytest.mark.parametrize("kind", NoteKind)
def test_every_kind_of_note_has_words_of_its_own(kind: NoteKind) -> None:
    def text(which: NoteKind) -> str:
        return note_text(Note(which, 1.5, (Leftover(7, "sh"),), "old"))

    assert text(kind)
    assert text(kind) not in {text(other) for other in NoteKind if other is not kind}


@pytest.mark.parametrize(
    ("cause", "more"),
    [
        (Cause(CauseKind.EXITED, exit=Exit(3)), ""),
        (Cause(CauseKind.EXITED, exit=Exit(signal="SIGTERM")), ""),
        (Cause(CauseKind.EXITED, exit=Exit(signal="SIGBUS", core=True)), "core dumped"),
        (Cause(CauseKind.EXITED, exit=Exit(signal="SIGKILL", out_of_memory=True)), "out of memory"),
        (
            Cause(CauseKind.EXITED, exit=Exit(signal="SIGABRT", core=True, sent_by="uid 0: slctl")),
            "core dumped, sent by uid 0: slctl",
        ),
        (Cause(CauseKind.EXITED, exit=Exit()), "ended with an unknown exit code"),
        (Cause(CauseKind.NEVER_SPAWNED), "never spawned: the daemon died"),
        (
            Cause(CauseKind.SPAWN_FAILED, error=SpawnFailure(SpawnErrorCode.USER, "no such user")),
            "no such user",
        ),
        (None, ""),
    ],
)
def test_what_a_code_or_a_signal_does_not_tell(cause: Cause | None, more: str) -> None:
    assert beyond_exit_text(cause) == more


@pytest.mark.parametrize(
    ("exit_status", "text"),
    [
        (Exit(0), "ended with exit 0"),
        (Exit(signal="SIGBUS", core=True), "ended by SIGBUS (core dumped)"),
        (Exit(), "ended with an unknown exit code"),
        (
            Exit(signal="SIGUSR1", sent_by="uid 0: slctl signal USR1 db"),
            "ended by SIGUSR1, sent by uid 0: slctl signal USR1 db",
        ),
    ],
)
def test_an_end_as_a_story_tells_it(exit_status: Exit, text: str) -> None:
    assert end_text(Cause(CauseKind.EXITED, exit=exit_status, expected=True)) == text
