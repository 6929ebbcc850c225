"""What may come next on a command line: for the shells' completion and for the interactive shell.

All of it is asked of what knows it: the table of commands, the functions of the commands (which
options they read), and the daemon (which names there are).
"""

from __future__ import annotations

import os

from supervisor_lite.client.errors import ClientError
from supervisor_lite.ctl.context import COLORS, OPTIONS, CommandContext
from supervisor_lite.ctl.options import Arguments, UsageError
from supervisor_lite.protocol.commands import (
    COMMAND,
    FILES,
    GROUPS,
    PROCESSES,
    ROLES,
    SHELL_NAMES,
    SHELLS,
    SIGNALS,
    SLCTL,
    STREAM_NAMES,
    STREAMS,
)
from supervisor_lite.text import sanitize

# As typing.TYPE_CHECKING, without the cost of importing typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from supervisor_lite.client.sync import Client

_FILE_OPTIONS = ("config", "socket", "out")
"""Options whose value is a file, by their keys."""

_CHOICES = {"color": COLORS, "role": ROLES}

_WORDS = {STREAMS: STREAM_NAMES, SHELLS: SHELL_NAMES}

_MEANINGS = {
    "at-once": "not in waves",
    "bytes": "bytes from the end",
    "color": "when to use colours",
    "config": "the daemon's configuration",
    "follow": "go on as it happens",
    "health": "only what is wanted and not up",
    "json": "for programs to read",
    "leave-running": "end the daemon alone",
    "limit": "how many",
    "lines": "lines from the end",
    "no-wait": "do not wait until it is true",
    "out": "directory to write to",
    "role": "what the user may do",
    "since": "after this one",
    "socket": "the daemon's control socket",
    "strict": "exit 1 if something will be different",
    "timeout": "give up waiting after that",
    "yes": "do not ask",
}
"""What an option means, by its key, for shells that show it."""


class Candidates:
    """What may come next: words, each with what it means ("" if that is clear), and files."""

    __slots__ = ("files", "words")

    def __init__(self, words: dict[str, str] | None = None, *, files: bool = False) -> None:
        self.words = words or {}
        self.files = files


class _KnownOptionsError(Exception):
    def __init__(self, known: dict[str, str]) -> None:
        super().__init__()
        self.known = known


class _Probe(CommandContext):
    """What a command is given to learn which options it reads; it gets no further than that."""

    __slots__ = ()

    def parse(self, arguments: list[str], known: dict[str, str]) -> Arguments:
        raise _KnownOptionsError(known)

    def client(self, timeout: float | None = None) -> NoReturn:
        raise _KnownOptionsError({})


def options_of(command: str) -> dict[str, str]:
    """Return the options of a command: the spelling, and the key ("=" at its end: has a value)."""
    from supervisor_lite.ctl.main import function

    try:
        function(command)(_Probe(), [])
    except _KnownOptionsError as probe:
        return {**OPTIONS, **probe.known}
    except UsageError:
        pass
    return {**OPTIONS}


class Completions:
    """Tells what may come next. What the line says of the daemon (-c, -s) goes into `ctl`."""

    def __init__(self, ctl: CommandContext) -> None:
        self._ctl = ctl

    def after(self, words: list[str]) -> Candidates:
        """Return what may stand where the last of these words is, of which the begin is there."""
        *before, current = words
        found = self._after(before, current)
        matching = {word: text for word, text in found.words.items() if word.startswith(current)}
        return Candidates(matching, files=found.files)

    def _after(self, before: list[str], current: str) -> Candidates:
        command, given, awaited = self._read(before)
        if awaited:
            return _values(awaited)
        if current.startswith("-"):
            known = options_of(command) if command else {**OPTIONS, "--version": "version"}
            spellings = {name: key.rstrip("=") for name, key in known.items() if name != "-#"}
            return Candidates({name: _MEANINGS.get(key, "") for name, key in spellings.items()})
        if not command:
            return Candidates({row.name: row.summary for row in SLCTL.values()})
        return self._words(command, given)

    def _read(self, words: list[str]) -> tuple[str, list[str], str]:
        """Return the command, the words after it, and the key of an option that needs a value."""
        command, given, awaited, known = "", [], "", {**OPTIONS}
        for word in words:
            if awaited:
                self._take(awaited, word)
                awaited = ""
            elif word.startswith("-"):
                key = known.get(word, "")
                awaited = key[:-1] if key.endswith("=") else ""
            elif command:
                given.append(word)
            else:
                command = word
                known = options_of(command)
        return command, given, awaited

    def _take(self, key: str, value: str) -> None:
        if key in ("config", "socket"):
            self._ctl.use(Arguments({key: os.path.expanduser(value)}, []))

    def _words(self, command: str, given: list[str]) -> Candidates:
        row = SLCTL.get(command)
        if row is None:
            return Candidates()
        kinds = row.words or (row.takes,)
        kind = kinds[min(len(given), len(kinds) - 1)]
        if kind == FILES:
            return Candidates(files=True)
        if kind == COMMAND:
            return Candidates({row.name: row.summary for row in SLCTL.values()})
        if kind == SIGNALS:
            return Candidates(dict.fromkeys(_signals(), ""))
        if kind in _WORDS:
            return Candidates(dict.fromkeys(_WORDS[kind], ""))
        if kind in (PROCESSES, GROUPS):
            return Candidates({name: "" for name in self._names(kind) if name not in given})
        return Candidates()

    def _names(self, kind: str) -> list[str]:
        """Return the live names; none if no daemon answers."""
        try:
            with self._ctl.client() as client:
                return _ask(client, kind)
        except (ClientError, UsageError, KeyError):
            return []


def _values(key: str) -> Candidates:
    return Candidates(dict.fromkeys(_CHOICES.get(key, ()), ""), files=key in _FILE_OPTIONS)


def _signals() -> list[str]:
    import signal

    return [name.removeprefix("SIG") for name in signal.Signals.__members__]


def _ask(client: Client, kind: str) -> list[str]:
    if kind == GROUPS:
        return sorted({sanitize(row["group"]) for row in client.call("avail")["processes"]})
    rows = client.call("status")["processes"]
    groups = {f"{row['group']}:*" for row in rows if row["group"] != row["fullname"]}
    return sorted({sanitize(row["fullname"]) for row in rows} | groups | {"all"})
