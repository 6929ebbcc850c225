"""What is probably not meant, and what to write instead: the sentences of model/advice.py."""

from __future__ import annotations

import re
from typing import assert_never

from supervisor_lite.explain.masking import mask_text
from supervisor_lite.model.advice import Advice, AdviceKind
from supervisor_lite.text import plural, span

_SHELL = 'command = ["sh", "-c", "…"]'
_NO_SHELL = "no shell reads the command"


def advice_text(advice: Advice) -> str:
    """Return one advice in words; it follows what it is about: a key, or a failure."""
    words = " ".join(f'"{mask_text(word)}"' for word in advice.words)
    match advice.kind:
        case AdviceKind.OPERATOR:
            return f"{_passed(advice, words)}; write {_SHELL}, or a program for each command"
        case AdviceKind.REDIRECTION:
            keys = "stdout_logfile, stderr_logfile, redirect_stderr = true"
            return f"{_passed(advice, words)}; write {keys}, or {_SHELL}"
        case AdviceKind.BACKGROUND:
            return f"{_passed(advice, words)}; leave it out: a program stays in the foreground"
        case AdviceKind.VARIABLE:
            return f"{_unchanged(advice, words)}; write %(ENV_{advice.name})s, or {_SHELL}"
        case AdviceKind.HOME:
            return f"{_unchanged(advice, words)}; write the whole path, or %(ENV_HOME)s/…"
        case AdviceKind.PATTERN:
            return f"{_unchanged(advice, words)}; name the files, or write {_SHELL}"
        case AdviceKind.SUBSTITUTION:
            return f"{_unchanged(advice, words)}; write {_SHELL}"
        case AdviceKind.BUILTIN:
            instead = f"{advice.instead}, or {_SHELL}" if advice.instead else _SHELL
            return f'"{advice.name}" is a word of a shell, and {_NO_SHELL}; write {instead}'
        case AdviceKind.ASSIGNMENT:
            variable = f'environment = {{ {advice.name} = "…" }}'
            return f"it is a variable, and {_NO_SHELL}; write {variable}"
        case AdviceKind.ONE_WORD | AdviceKind.OPTION_WITH_VALUE | AdviceKind.SCRIPT_IN_WORDS:
            return _separated(advice, words)
        case AdviceKind.IN_DIRECTORY:
            return f'the directory has one, which is found as "./{advice.name}" only'
        case AdviceKind.OTHER_NAME:
            return f'there is "{advice.instead}"'
        case (
            AdviceKind.ENDS_AT_ONCE
            | AdviceKind.GOES_TO_BACKGROUND
            | AdviceKind.WOULD_GO_TO_BACKGROUND
            | AdviceKind.GOES_NOWHERE
        ):
            return _runs(advice, words)
        case _:
            assert_never(advice.kind)


def _passed(advice: Advice, words: str) -> str:
    is_one = len(advice.words) == 1
    return f"{words} {'is an argument' if is_one else 'are arguments'} here: {_NO_SHELL}"


def _unchanged(advice: Advice, words: str) -> str:
    is_one = len(advice.words) == 1
    return f"{words} {'is' if is_one else 'are'} not expanded: {_NO_SHELL}"


def _separated(advice: Advice, words: str) -> str:
    """Say what is one argument and should be several, or the other way round."""
    if advice.kind is AdviceKind.SCRIPT_IN_WORDS:
        script = f"{words} is all that the shell runs: what follows are its $0, $1 …"
        return f"{script}; put the whole script into one word, {_SHELL}"
    parts = [re.sub(r"[ \t]+", '", "', mask_text(word.strip()), count=1) for word in advice.words]
    if advice.kind is AdviceKind.ONE_WORD:
        parts = ['", "'.join(mask_text(word).split()) for word in advice.words]
    written = ", ".join(f'"{part}"' for part in parts)
    if advice.kind is AdviceKind.ONE_WORD:
        return f"an item of a list, or what is in quotes, is one argument; write [{written}]"
    return f"{words} is one argument; write {written} in the list, or no quotes around both"


def _runs(advice: Advice, words: str) -> str:
    """Say how a program runs, where that is not what a supervisor expects."""
    if advice.kind is AdviceKind.ENDS_AT_ONCE:
        limit = span(advice.seconds)
        tries = plural(advice.number, "time", "times")
        end = f"an end within startsecs ({limit}) is a failed start, whatever the exit code"
        return f"if it ends by itself: {end}, and it is run {tries}; write startsecs = 0 for a job"
    if advice.kind is AdviceKind.GOES_NOWHERE:
        null = f"{words} is the daemon's, which is /dev/null in the background"
        return f'{null}; write "auto", "syslog" or a file, or run it in the foreground'
    if advice.kind is AdviceKind.GOES_TO_BACKGROUND:
        what = "its main process has ended, and left others in the background"
    else:
        what = f"{words} puts it into the background, where its end is not seen"
    stay = f"keep it in the foreground with {advice.instead}"
    if not advice.instead:
        stay = "look for its option that keeps it in the foreground"
    return f"{what}; {stay}, or set pidfile to the file in which it writes its pid"
