"""What every command is given: where the daemon is, and how to write."""

from __future__ import annotations

import os
import sys

from supervisor_lite.client.errors import RemoteError
from supervisor_lite.client.sync import DEFAULT_TIMEOUT, Client
from supervisor_lite.ctl import render
from supervisor_lite.ctl.options import Arguments, UnusableConfiguration, UsageError, parse
from supervisor_lite.protocol import codes
from supervisor_lite.protocol.commands import GROUPS, METHODS, PROCESSES
from supervisor_lite.text import sanitize

# As typing.TYPE_CHECKING, without the cost of importing typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Function = Callable[["CommandContext", list[str]], int]
    """Carries out a command: the context and the words after its name in, the exit code out."""

EMPTY = '""'
"""How a name is shown that is not there: of a variable of a shell that was not set."""

COLORS = ("auto", "always", "never")

CONFIG_VARIABLE = "SLCTL_CONFIG"
"""The environment variable that stands for -c where neither -c nor -s is given."""

OPTIONS = {
    "-c": "config=", "--config": "config=", "-s": "socket=", "--socket": "socket=",
    "--color": "color=",
}  # fmt: skip
"""The options that every command takes, before its name and after it."""


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
    """The choices that hold for every command, resolved when a command needs them."""

    __slots__ = ("_color", "_config", "_found", "_socket", "_style", "relocated")

    def __init__(self) -> None:
        self._config: str | None = None
        self._socket: str | None = None
        self._found: str | None = None
        self.relocated = ""
        """Where the daemon is, found out because nobody answered where it should be."""
        self._color = "auto"
        self._style: render.Style | None = None

    @property
    def config(self) -> str | None:
        """What was given with -c, else by the environment, else None."""
        return self._config or os.environ.get(CONFIG_VARIABLE) or None

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

    def use(self, given: Arguments) -> None:
        """Take what was given of `OPTIONS`. Raises UsageError."""
        if given.has("config"):
            self._config, self._socket, self._found = given.text("config"), None, None
        if given.has("socket"):
            self._socket = given.text("socket")
        if given.has("color"):
            choice = given.text("color")
            if choice not in COLORS:
                raise UsageError(f"--color is one of {', '.join(COLORS)}")
            self._color, self._style = choice, None

    def parse(self, arguments: list[str], known: dict[str, str]) -> Arguments:
        """Sort a command's options from its words; see `options.parse`."""
        parsed = parse(arguments, {**OPTIONS, **known})
        self.use(parsed)
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
            where = getattr(error, "filename", None) or self.configuration()
            cause = getattr(error, "strerror", None) or error
            text = f'cannot read the configuration "{where}"{self._named_by()}: {cause}'
            raise UnusableConfiguration(text) from error

    def _named_by(self) -> str:
        """Return where the name of the configuration comes from, unless it was typed."""
        inherited = not self._config and self.config
        return f" (named by {CONFIG_VARIABLE})" if inherited else ""

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


def report_missing(ctl: CommandContext, error: RemoteError) -> list[str]:
    """Report on stderr the names that nothing matches, and return those; [] for other errors.

    Says what may have been meant, which the daemon is asked for.

    A daemon from before error codes does not say which they are, except where only one was asked.
    """
    if error.number != codes.NO_SUCH_PROCESS:
        return []
    asked = error.params.get("names") or [error.params.get("name")]
    missing = error.names or (asked if len(asked) == 1 else [])
    row = METHODS.get(error.method)
    takes = row.takes if row is not None else PROCESSES
    noun = "group" if takes == GROUPS else "process"
    from supervisor_lite.ctl.unknown import name_hints

    with ctl.client() as client:
        hints = name_hints(client, missing, takes)
    for name, place in error.defined.items():
        file = f', in "{place["file"]}"' if place.get("file") else ""
        group = place.get("group")
        hints[name] = f"; the configuration has it{file}: `slctl update {group}` takes it into use"
    for name in missing:
        hint = sanitize(hints.get(name, ""))
        render.err(f"{sanitize(name) or EMPTY}: ERROR (no such {noun}){hint}")
    return missing


def tolerant_streams() -> None:
    """Make stdout and stderr take any text, whatever the locale, and exist even if closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115
        else:
            stream.reconfigure(errors="backslashreplace")
