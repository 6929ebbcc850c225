"""The interactive shell: `slctl` without a command on a terminal."""

from __future__ import annotations

import cmd
import contextlib
import copy
import os
import shlex

from supervisor_lite.ctl import render
from supervisor_lite.ctl.completions import Completions
from supervisor_lite.ctl.context import CommandContext
from supervisor_lite.protocol.commands import SLCTL
from supervisor_lite.protocol.home import NoHomeError, own_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[CommandContext, list[str]], int]

MAX_HISTORY = 1000
"""Lines of history that are kept."""


class Shell(cmd.Cmd):
    """Reads a line, runs the command, until quit, exit or Ctrl-D."""

    prompt = "slctl> "

    def __init__(self, ctl: CommandContext, run: Run) -> None:
        super().__init__()
        self._ctl = ctl
        self._run = run
        self._commands = sorted([*SLCTL, "quit", "exit"])

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
            self._run(copy.copy(self._ctl), words)  # -c and -s hold for this line alone
        return False

    def completenames(self, text: str, *ignored: object) -> list[str]:
        """Complete the first word."""
        return _matching(self._commands, text)

    def completedefault(self, text: str, line: str, begin: int, end: int) -> list[str]:
        """Complete what may follow the command."""
        words = [*line[:begin].split(), text]
        return _matching(list(Completions(copy.copy(self._ctl)).after(words).words), text)

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
