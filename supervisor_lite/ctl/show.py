"""Put things on the screen: colour, width, times, and text that cannot harm a terminal."""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.protocol.messages import Message

GREEN, YELLOW, RED, CYAN, DIM = "32", "33", "31", "36", "2"

_STATE_COLOURS = {
    "RUNNING": GREEN,
    "STARTING": YELLOW,
    "STOPPING": YELLOW,
    "BACKOFF": YELLOW,
    "EXITED": CYAN,
    "FATAL": RED,
    "STOPPED": DIM,
}


class Style:
    """How to write to stdout.

    `width` is the number of columns, None where lines are never cut. Colour repeats what the
    words say and adds nothing.
    """

    __slots__ = ("colour", "terminal", "width")

    def __init__(self, *, terminal: bool, colour: bool, width: int | None) -> None:
        self.terminal = terminal
        self.colour = colour
        self.width = width

    def paint(self, text: str, colour: str) -> str:
        """Return the text in an SGR colour, if colours are on."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self.colour and text else text

    def state(self, state: str) -> str:
        """Return the name of a state, padded to its column."""
        return self.paint(state, _STATE_COLOURS.get(state, DIM)) + " " * max(1, 10 - len(state))

    def cut(self, text: str, used: int, least: int = 20) -> str:
        """Return the text, cut to what is left of the line after `used` columns."""
        if self.width is None:
            return text
        room = max(least, self.width - used)
        return text if len(text) <= room else f"{text[: room - 1].rstrip()}…"


def style(color: str) -> Style:
    """Return the style for stdout as it is; `color` is "auto", "always" or "never"."""
    terminal = sys.stdout.isatty()
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    colour = color == "always" or (color == "auto" and terminal and not plain)
    return Style(terminal=terminal, colour=colour, width=_columns() if terminal else None)


def _columns() -> int | None:
    text = os.environ.get("COLUMNS", "")
    if text.isascii() and text.isdigit() and int(text):
        return int(text)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError):
        return None


def out(text: str) -> None:
    """Write one result to stdout."""
    print(text)


def err(text: str) -> None:
    """Write one diagnostic to stderr, after the results that came before it."""
    sys.stdout.flush()
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        return  # nobody can be told


def harmless(text: object, keep: str = "") -> str:
    """Return the text with everything invisible spelled out, except the characters in `keep`.

    Names, reasons and output come from programs that the operator may not trust: an escape
    sequence could rewrite the screen, a newline or a bidirectional override could forge a line.
    """
    whole = str(text)
    if whole.isprintable():
        return whole
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode()
        for char in whole
    )


def json_line(value: object) -> str:
    """Return JSON on one line, ASCII only: safe on every terminal and in every locale."""
    return json.dumps(value)


def json_rows(key: str, rows: list[Message]) -> str:
    """Return {key: rows} as JSON with one row a line, so that grep and diff work as well as jq."""
    if not rows:
        return f'{{"{key}": []}}'
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    return f'{{"{key}": [\n  {lines}\n]}}'


def uptime(seconds: float) -> str:
    """Return `0:00:02` or `1 day, 2:03:04`, as Supervisor does."""
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86400)
    clock = f"{rest // 3600}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    if not days:
        return clock
    return f"{days} day{'s' if days > 1 else ''}, {clock}"


def duration(seconds: float) -> str:
    """Return `0.25s`, `4.2s`, `2m 5s`, `2h 3m` or `5d 1h`."""
    if seconds < 1:
        return f"{seconds:.2f}s"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for unit, size, below, small in (("d", 86400, "h", 3600), ("h", 3600, "m", 60)):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // small}{below}"
    return f"{whole // 60}m {whole % 60}s"


def size(number: float) -> str:
    """Return a number of bytes as `512 B`, `12.3 MB`: units of 1024, as in the configuration."""
    if number < 1024:
        return f"{number:.0f} B"
    for unit in ("KB", "MB", "GB"):
        number /= 1024
        if number < 1024:
            return f"{number:.1f} {unit}"
    return f"{number / 1024:.1f} TB"


def table(rows: list[list[str]]) -> list[str]:
    """Return the rows as lines with aligned columns, two blanks apart, none at the end."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
