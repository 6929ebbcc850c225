"""What is said of words that are no commands, and of names that nothing matches."""

from __future__ import annotations

import pytest

from supervisor_lite.ctl.completions import _MEANINGS, options_of
from supervisor_lite.ctl.main import main
from supervisor_lite.ctl.unknown import OF_OTHERS, command_hint
from supervisor_lite.protocol.commands import SLCTL

CHANGING = [row.name for row in SLCTL.values() if row.changes or row.question]


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("ls", "; here it is: slctl status"),
        ("ps", "; here it is: slctl status"),
        ("list", "; here it is: slctl status"),
        ("log", "; here it is: slctl logs"),
        ("describe", "; here it is: slctl why"),
        ("scale", "; here it is: numprocs in the configuration, then slctl update"),
        ("statsu", "; did you mean status?"),
        ("stauts", "; did you mean status?"),
        ("sotp", "; did you mean stop?"),
        ("stp", "; did you mean stop?"),
        ("stopp", "; did you mean stop?"),
        ("stob", "; did you mean stop?"),
        ("Restart", "; did you mean restart?"),
        ("xyzzy", ""),
        ("", ""),
    ],
)
def test_a_word_leads_to_what_is_meant(word: str, hint: str) -> None:
    assert command_hint(word) == hint


@pytest.mark.parametrize(
    "word", ["top", "show", "scale", "monit", "run", "shut", "stops-all", "load", "grade", "dated"]
)
def test_nothing_that_changes_something_is_suggested(word: str) -> None:
    """Not even where the whole word of ours is near: who copies the answer stops nothing."""
    hint = command_hint(word)
    assert not any(f"did you mean {name}?" in hint for name in CHANGING), hint


def test_the_words_of_others_are_none_of_ours() -> None:
    """A command of ours is never answered with another; what is named exists."""
    assert not set(OF_OTHERS) & set(SLCTL)
    for text in OF_OTHERS.values():
        if text.startswith("slctl "):
            assert text.split()[1].rstrip(",") in SLCTL, text


def test_help_is_answered_alike(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "top"]) == 2
    assert "stop" not in capsys.readouterr().err


def test_every_option_has_a_meaning_for_the_shells() -> None:
    """The commands themselves say which options they read."""
    known = {key.rstrip("=") for name in SLCTL for key in options_of(name).values()}
    assert known - {"line"} <= set(_MEANINGS), known - set(_MEANINGS)
    assert "--no-wait" in options_of("start")
