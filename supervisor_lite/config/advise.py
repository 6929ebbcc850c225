"""What of a program is legal and probably not meant, as far as the file alone shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, TypeAlias

from supervisor_lite.config.schema.key import field_default
from supervisor_lite.config.types.command import split_words
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.model.advice import Advice, AdviceKind
from supervisor_lite.model.cause import SpawnFailure
from supervisor_lite.model.program import Program
from supervisor_lite.model.restart import AutoRestart

if TYPE_CHECKING:
    from supervisor_lite.config.diagnostics import Diagnostics
    from supervisor_lite.config.read import Entry, Values
    from supervisor_lite.model.settings import DaemonSettings

Finder: TypeAlias = Callable[[Program], Iterable[tuple[str, SpawnFailure | Advice]]]
"""Yields what is wrong with a process, by key."""

LookAhead: TypeAlias = "Callable[[DaemonSettings], Finder]"
"""Returns what tells that, for a daemon with these settings."""

_OF_A_SHELL: Final = frozenset("&|;<>$`~*?[")

_OF_A_SERVICE: Final = frozenset({"sockets", "pidfile", "stopsignal", "stopwaitsecs"})
"""Keys of what runs until somebody stops it."""


def advise(entry: Entry, values: Values, diagnostics: Diagnostics) -> None:
    """Warn of what a program says; `values` are those of its keys that are right."""
    command = entry.raw.get("command")
    if _may_mean_a_shell(command):
        from supervisor_lite.config.written_words import written_words
        from supervisor_lite.rules.shell_words import shell_words

        of_list = isinstance(command, list)
        for advice in shell_words(written_words(command), of_list=of_list):
            diagnostics.advise(entry.at("command"), advice)

    if "command" not in entry.raw:
        return
    words = _words(command)
    if (job := _job(entry, values, words)) is not None:
        where = "autorestart" if "autorestart" in entry.raw else "command"
        diagnostics.advise(entry.at(where), job)
    if "pidfile" not in entry.raw and any("d" in word or "start" in word for word in words[1:]):
        _advise_background(entry, words, diagnostics)


def _words(command: object) -> tuple[str, ...]:
    """Return the words of a command as they stand in the file; none if it is wrong."""
    try:
        words = split_words(command) if isinstance(command, str) else command
    except BadValueError:
        return ()
    return tuple(map(str, words)) if isinstance(words, tuple | list) else ()


def _job(entry: Entry, values: Values, words: tuple[str, ...]) -> Advice | None:
    """Return that a program which ends by itself would be run several times.

    Not for what says how long it has to be up: then it is meant.
    """
    autorestart = values.get("autorestart", AutoRestart.UNEXPECTED)
    tries = values.get("startretries", field_default(Program, "startretries"))
    seconds = field_default(Program, "startsecs")
    if not words or "startsecs" in entry.raw or not tries or autorestart is AutoRestart.ALWAYS:
        return None
    from supervisor_lite.rules.jobs import ends_by_itself, runs_on

    if not ends_by_itself(words):
        is_service = values.get("numprocs", 1) != 1 or not _OF_A_SERVICE.isdisjoint(entry.raw)
        if autorestart is AutoRestart.UNEXPECTED or is_service or runs_on(words):
            return None
    assert isinstance(tries, int)
    assert isinstance(seconds, float)
    return Advice(AdviceKind.ENDS_AT_ONCE, number=tries + 1, seconds=seconds)


def _advise_background(entry: Entry, words: tuple[str, ...], diagnostics: Diagnostics) -> None:
    from supervisor_lite.rules.background import background_words, stays_with

    if found := background_words(words):
        kind = AdviceKind.WOULD_GO_TO_BACKGROUND
        diagnostics.advise(entry.at("command"), Advice(kind, found, instead=stays_with(words)))


def _may_mean_a_shell(command: object) -> bool:
    """Tell quickly whether a command is worth a look: most are not."""
    if isinstance(command, str):
        return not _OF_A_SHELL.isdisjoint(command) or "sh -" in command or "'-" in command
    if not isinstance(command, list):
        return False
    return any(
        isinstance(item, str)
        and (not _OF_A_SHELL.isdisjoint(item) or " " in item or item.endswith("c"))
        for item in command
    )
