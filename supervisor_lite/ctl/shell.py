"""The interactive shell: `slctl` without a command on a terminal."""

from __future__ import annotations

import cmd
import contextlib
import os
import shlex
import time

from supervisor_lite.client.errors import ClientError
from supervisor_lite.ctl import render
from supervisor_lite.ctl.context import CommandContext
from supervisor_lite.protocol.commands import COMMAND, GROUPS, NOTHING, SLCTL
from supervisor_lite.protocol.home import NoHomeError, own_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[CommandContext, list[str]], int]

MAX_HISTORY = 1000
"""Lines of history that are kept."""

_CACHE_TIME = 2.0
"""Seconds that names got for one completion serve the next."""


class Completions:
    """The words that may come next: commands, and the live names of processes and groups."""

    def __init__(self, ctl: CommandContext) -> None:
        self._ctl = ctl
        self._known: dict[str, tuple[float, list[str]]] = {}

    def after(self, command: str) -> list[str]:
        """Return what may follow a command; nothing if no daemon answers."""
        row = SLCTL.get(command)
        if row is None or row.takes == NOTHING:
            return []
        if row.takes == COMMAND:
            return [*SLCTL]
        at, names = self._known.get(row.takes, (-_CACHE_TIME, []))
        if time.monotonic() - at >= _CACHE_TIME:
            names = self._ask(row.takes)
            self._known[row.takes] = time.monotonic(), names
        return names

    def _ask(self, takes: str) -> list[str]:
        try:
            with self._ctl.client() as client:
                if takes == GROUPS:
                    rows = client.call("avail")["processes"]
                    return sorted({str(row["group"]) for row in rows})
                rows = client.call("status")["processes"]
        except (ClientError, KeyError):
            return []
        groups = {f"{row['group']}:*" for row in rows if row["group"] != row["fullname"]}
        return sorted({str(row["fullname"]) for row in rows} | groups | {"all"})


class Shell(cmd.Cmd):
    """Reads a line, runs the command, until quit, exit or Ctrl-D."""

    prompt = "slctl> "

    def __init__(self, ctl: CommandContext, run: Run) -> None:
        super().__init__()
        self._ctl = ctl
        self._run = run
        self._commands = sorted([*SLCTL, "quit", "exit"])
        self._completions = Completions(ctl)

    def onecmd(self, line: str) -> bool:
        """Run one line; True ends the shell."""
        if line == "EOF":
            render.out("")
            return True
        try:
            words = shlex.split(line)
        except ValueError as error:
            render.err(f"slctl: {error}")
            return False
        if not words:
            return False
        if words[0] in ("quit", "exit"):
            return True
        row = SLCTL.get(words[0])
        if row is not None and row.question and not _confirmed(row.question):
            return False
        with contextlib.suppress(KeyboardInterrupt):
            self._run(self._ctl, words)
        return False

    def completenames(self, text: str, *ignored: object) -> list[str]:
        """Complete the first word."""
        return _matching(self._commands, text)

    def completedefault(self, text: str, line: str, *ignored: object) -> list[str]:
        """Complete what may follow the command."""
        command = line.split(maxsplit=1)[0] if line.split() else ""
        return _matching(self._completions.after(command), text)

    complete_help = completedefault


def _matching(words: list[str], text: str) -> list[str]:
    """Return the words that begin so; a single one with the blank after it."""
    found = [word for word in words if word.startswith(text)]
    return [f"{found[0]} "] if len(found) == 1 else found


def _confirmed(question: str) -> bool:
    try:
        return input(f"{question} y/N? ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def history_file() -> str:
    """Return where the history of lines is kept; empty if there is no home to keep it in."""
    try:
        home = own_directory("XDG_STATE_HOME", "~/.local/state")
    except NoHomeError:
        return ""
    return os.path.join(home, "supervisor-lite", "slctl_history")


def interact(ctl: CommandContext, run: Run) -> int:
    """Show the status, then read and run lines until the operator leaves; always exits 0."""
    import readline

    readline.set_completer_delims(" \t\n")  # ":" and "*" belong to names
    path = history_file()
    with contextlib.suppress(OSError):
        if path:
            readline.read_history_file(path)
    run(ctl, ["status"])
    shell = Shell(ctl, run)
    while True:
        try:
            shell.cmdloop()
            break
        except KeyboardInterrupt:
            render.out("")
            break
    readline.set_history_length(MAX_HISTORY)
    with contextlib.suppress(OSError):
        if not path:
            return 0
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        readline.write_history_file(path)
    return 0
