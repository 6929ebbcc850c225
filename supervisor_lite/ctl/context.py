"""What every command is given: where the daemon is, and how to write."""

from __future__ import annotations

import sys

from supervisor_lite.client.errors import RemoteError
from supervisor_lite.client.sync import DEFAULT_TIMEOUT, Client
from supervisor_lite.ctl import render
from supervisor_lite.ctl.options import Arguments, UnusableConfiguration, UsageError, parse
from supervisor_lite.protocol import codes
from supervisor_lite.protocol.commands import GROUPS, METHODS
from supervisor_lite.text import sanitize

# As typing.TYPE_CHECKING, without the cost of importing typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Function = Callable[["CommandContext", list[str]], int]
    """Carries out a command: the context and the words after its name in, the exit code out."""

EMPTY = '""'
"""How a name is shown that is not there: of a variable of a shell that was not set."""

_COLORS = ("auto", "always", "never")


class Commands:
    """The functions of one module of ctl/commands/, by the name of the command.

    Each module has one, called `command`, and decorates its functions with it.
    """

    __slots__ = ("functions",)

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}

    def __call__(self, name: str) -> Callable[[Function], Function]:
        """Return a decorator that makes a function the one of this command."""

        def register(function: Function) -> Function:
            self.functions[name] = function
            return function

        return register


class CommandContext:
    """The choices made before the command's name, resolved when a command needs them."""

    __slots__ = ("_color", "_found", "_socket", "_style", "config", "relocated")

    def __init__(self, config: str | None = None, socket: str | None = None) -> None:
        self.config = config
        """What was given with -c, or None."""
        self._socket = socket
        self._found: str | None = None
        self.relocated = ""
        """Where the daemon is, found out because nobody answered where it should be."""
        self._color = "auto"
        self._style: render.Style | None = None

    @property
    def located(self) -> bool:
        """Did the operator say where the daemon is?"""
        return bool(self._socket or self.config)

    @property
    def style(self) -> render.Style:
        """How to write to stdout."""
        if self._style is None:
            self._style = render.style(self._color)
        return self._style

    def use_color(self, choice: str) -> None:
        """Take the value of --color. Raises UsageError."""
        if choice not in _COLORS:
            raise UsageError(f"--color is one of {', '.join(_COLORS)}")
        self._color = choice

    def parse(self, arguments: list[str], known: dict[str, str]) -> Arguments:
        """Sort a command's options from its words; see `options.parse`."""
        parsed = parse(arguments, {**known, "--color": "color="})
        if parsed.has("color"):
            self.use_color(parsed.text("color"))
        return parsed

    def socket(self) -> str:
        """Return the path of the control socket. Raises UsageError."""
        if self.relocated:
            return self.relocated
        if self._socket:
            if self._socket.startswith(("http://", "https://")):
                raise UsageError("-s takes the path of a control socket; slctl does not speak HTTP")
            return self._socket.removeprefix("unix://")
        from supervisor_lite.protocol.locate import ForeignPathError, find_socket

        try:
            return find_socket(self.config)
        except ForeignPathError as error:
            raise UnusableConfiguration(f'cannot use "{error.path}": {error}') from error
        except (OSError, ValueError) as error:
            where = self.config or "its file"
            text = f'cannot read the configuration "{where}": {error}'
            raise UnusableConfiguration(text) from error

    def configuration(self) -> str:
        """Return the absolute path of the daemon's configuration; "" if a socket was named."""
        if self._socket:
            return ""
        if self._found is None:
            from supervisor_lite.protocol.locate import absolute_config

            self._found = absolute_config(self.config) or ""
        return self._found

    def client(self, timeout: float | None = DEFAULT_TIMEOUT) -> Client:
        """Return a client of the daemon; it connects at its first call."""
        return Client(self.socket(), timeout, self.configuration())


def required(arguments: Arguments, what: str = "a NAME") -> list[str]:
    """Return the words of a command that needs at least one. Raises UsageError."""
    if not arguments.words:
        raise UsageError(f"which? It needs {what}")
    return arguments.words


def none_left(words: list[str]) -> None:
    """Refuse words that a command has no use for. Raises UsageError."""
    if words:
        raise UsageError(f'cannot use "{words[0]}" here')


def report_missing(error: RemoteError) -> list[str]:
    """Report on stderr the names that nothing matches, and return those; [] for other errors.

    A daemon from before error codes does not say which they are, except where only one was asked.
    """
    if error.number != codes.NO_SUCH_PROCESS:
        return []
    asked = error.params.get("names") or [error.params.get("name")]
    missing = error.names or (asked if len(asked) == 1 else [])
    row = METHODS.get(error.method)
    noun = "group" if row is not None and row.takes == GROUPS else "process"
    for name in missing:
        render.err(f"{sanitize(name) or EMPTY}: ERROR (no such {noun})")
    return missing


def tolerant_streams() -> None:
    """Make stdout and stderr take any text, whatever the locale, and exist even if closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115
        else:
            stream.reconfigure(errors="backslashreplace")
