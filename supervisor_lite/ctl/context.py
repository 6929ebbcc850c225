"""What every command is given: where the daemon is, and how to write."""

from __future__ import annotations

import sys

from supervisor_lite.client.errors import RemoteError
from supervisor_lite.client.sync import DEFAULT_TIMEOUT, Client
from supervisor_lite.ctl import show
from supervisor_lite.ctl.options import Arguments, UsageError, parse
from supervisor_lite.protocol import codes
from supervisor_lite.text import sanitize

_COLORS = ("auto", "always", "never")


class Context:
    """The choices made before the command's name, resolved when a command needs them."""

    __slots__ = ("_color", "_socket", "_style", "config")

    def __init__(self, config: str | None = None, socket: str | None = None) -> None:
        self.config = config
        """What was given with -c, or None."""
        self._socket = socket
        self._color = "auto"
        self._style: show.Style | None = None

    @property
    def located(self) -> bool:
        """Did the operator say where the daemon is?"""
        return bool(self._socket or self.config)

    @property
    def style(self) -> show.Style:
        """How to write to stdout."""
        if self._style is None:
            self._style = show.style(self._color)
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
        if self._socket:
            if self._socket.startswith(("http://", "https://")):
                raise UsageError("-s takes the path of a control socket; slctl does not speak HTTP")
            return self._socket.removeprefix("unix://")
        from supervisor_lite.protocol.locate import find_socket

        try:
            return find_socket(self.config)
        except (OSError, ValueError) as error:
            where = self.config or "its file"
            raise UsageError(f'cannot read the configuration "{where}": {error}') from error

    def client(self, timeout: float | None = DEFAULT_TIMEOUT) -> Client:
        """Return a client of the daemon; it connects at its first call."""
        return Client(self.socket(), timeout)


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
    """Report on stderr the names that nothing matches, and return those; [] for other errors."""
    if error.code != codes.NO_SUCH_PROCESS:
        return []
    asked = error.params.get("names") or [error.params.get("name")]
    # "ghost, web_9" or "no such group: ghost, web_9"
    said = {*error.data, *error.message.rpartition(": ")[2].split(", ")}
    missing = [name for name in asked if name in said]
    if not missing and len(asked) == 1 and asked[0]:
        missing = asked
    elif not missing and "" in asked:
        missing = [""]  # a variable of a shell that was not set
    noun = "group" if error.method in ("update", "add", "remove") else "process"
    for name in missing:
        shown = sanitize(name) or '""'
        show.err(f"{shown}: ERROR (no such {noun})")
    return missing


def tolerant_streams() -> None:
    """Make stdout and stderr take any text, whatever the locale, and exist even if closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115
        else:
            stream.reconfigure(errors="backslashreplace")
