"""Files that were read, and locations of keys in them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from supervisor_lite.protocol.locate import read_regular

if TYPE_CHECKING:
    from supervisor_lite.config.diagnostics import Diagnostics
    from supervisor_lite.config.lines import KeyPath


class Source:
    """One file that was read and is valid TOML."""

    __slots__ = ("_lines", "data", "label", "number", "path", "text")

    def __init__(
        self, label: str, path: str, number: int, text: str, data: dict[str, object]
    ) -> None:
        """`label` is the path as the operator wrote it, `path` the absolute one.

        Files are numbered in the order in which they were read.
        """
        self.label = label
        self.path = path
        self.number = number
        self.text = text
        self.data = data
        self._lines: dict[KeyPath, int] | None = None

    @property
    def here(self) -> str:
        """The directory of the file: `%(here)s`, and what paths in it are relative to."""
        return os.path.dirname(self.path)

    def line(self, path: KeyPath) -> int:
        """Return the line of a key, or else of the nearest table around it; 0 for neither."""
        if self._lines is None:
            from supervisor_lite.config.lines import line_numbers

            self._lines = line_numbers(self.text)
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 0)

    def written(self, path: KeyPath) -> str:
        """Return the line on which a key stands, as it was written."""
        return self.text.split("\n")[self.line(path) - 1]


class Location(NamedTuple):
    """A key or a table in a file."""

    source: Source
    path: KeyPath

    def __truediv__(self, key: str | int) -> Location:
        """Return the location of a key in this table."""
        return Location(self.source, (*self.path, key))

    def __str__(self) -> str:
        """Return `file:line`."""
        return f"{self.source.label}:{self.source.line(self.path)}"


def parse(label: str, path: str, number: int, diagnostics: Diagnostics) -> Source | None:
    """Read one file; report it and return None if it cannot be read or is no TOML."""
    import tomli

    try:
        data = read_regular(path)
    except OSError as error:
        diagnostics.error_in_file(number, label, f"cannot read it: {error.strerror}")
        return None
    try:
        # Some editors put a byte order mark before UTF-8.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].split(b"\n")
        column = len(before[-1]) + 1
        text = f"column {column}: not UTF-8 (byte 0x{data[error.start]:02x})"
        diagnostics.error_in_file(number, label, text, len(before))
        return None
    try:
        return Source(label, path, number, text, tomli.loads(text))
    except tomli.TOMLDecodeError as error:
        from supervisor_lite.config.syntax import explain

        diagnostics.error_in_file(number, label, explain(label, error), error.lineno)
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, hundreds of nested brackets: no line is known.
        diagnostics.error_in_file(number, label, str(error))
    return None
