"""How a diagnostic about a value is worded."""

from __future__ import annotations

import re


class BadValueError(ValueError):
    """A value is not what its key takes.

    The reader says `expected …, got …`. `expected` says the former more closely than the type of
    the value does, `got` the latter; `hint` is added at the end.
    """

    def __init__(self, expected: str = "", hint: str = "", *, got: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.hint = hint
        self.got = got


def describe(value: object, *, secret: bool = False) -> str:
    """Name a TOML value in a message: its type, and the value itself unless it is secret."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, str):
        name = "the string"
        shown = f'"{value}"' if len(value) <= 80 else f'"{value[:77]}..."'
    else:
        name = "the number" if isinstance(value, int | float) else "the date"
        shown = str(value)
    return f"a{name[3:]}" if secret else f"{name} {shown}"


def dotted(path: tuple[str | int, ...]) -> str:
    """Return the path of a key as one writes it in TOML: `program."v1.2".command`."""
    parts = (part for part in path if isinstance(part, str))
    return ".".join(p if re.fullmatch("[A-Za-z0-9_-]+", p) else f'"{p}"' for p in parts)
