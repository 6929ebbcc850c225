"""Write to stdout and stderr: colour, width, JSON, tables."""

from __future__ import annotations

import os
import sys

from supervisor_lite.protocol import quick_json
from supervisor_lite.text import columns, fit, pad, sanitize

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

    def cut(self, text: str, used: int = 0) -> str:
        """Return the text, cut to what is left of the line after `used` columns."""
        return text if self.width is None else fit(text, max(1, self.width - used))


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


def json_line(value: object) -> str:
    """Return JSON on one line, ASCII only: safe on every terminal and in every locale."""
    return quick_json.dumps(value, ascii_only=True, compact=False)


def json_rows(key: str, rows: list[Message]) -> str:
    """Return {key: rows} as JSON with one row a line, so that grep and diff work as well as jq."""
    if not rows:
        return f'{{"{key}": []}}'
    lines = ",\n  ".join(map(json_line, rows))
    return f'{{"{key}": [\n  {lines}\n]}}'


def table(rows: list[list[str]]) -> list[str]:
    """Return the rows as lines with aligned columns, two blanks apart, none at the end."""
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def moment(text: object) -> str:
    """Return a time that the daemon tells (RFC 3339), in the reader's zone, with its offset.

    What is no such time is returned as it is.
    """
    from datetime import datetime

    try:
        time = datetime.fromisoformat(str(text)).astimezone()
    except ValueError:
        return sanitize(text)
    return time.isoformat(timespec="milliseconds" if time.microsecond else "seconds")


def clock_offset() -> str:
    """Return how far the reader's clock is from UTC now: `+01:00`."""
    import time

    minutes = time.localtime().tm_gmtoff // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
