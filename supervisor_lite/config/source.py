"""Files that were read, and what there is to say about them.

A Report collects complaints and warnings about places in files. Lines are looked up at the end,
and only in files that are mentioned.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from supervisor_lite.config.lines import Path, line_numbers
from supervisor_lite.config.wording import dotted
from supervisor_lite.errors import Complaint
from supervisor_lite.protocol.locate import read_regular

_HEADER = re.compile(r"\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
_KEY = re.compile(r"([A-Za-z0-9_-]+)\s*=")


@dataclass(slots=True, eq=False)
class Source:
    """One file that was read and is valid TOML."""

    label: str
    """The path as it is shown: as the operator wrote it, not made absolute."""
    path: str
    """The absolute path."""
    number: int
    """Files are numbered in the order in which they were read."""
    text: str
    data: dict[str, object]
    _lines: dict[Path, int] | None = field(default=None, init=False)

    @property
    def here(self) -> str:
        """The directory of the file: `%(here)s`, and what paths in it are relative to."""
        return os.path.dirname(self.path)

    def line(self, path: Path) -> int:
        """Return the line of a key, or else of the nearest table around it; 0 for neither."""
        if self._lines is None:
            self._lines = line_numbers(self.text)
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 0)

    def place(self, path: Path) -> str:
        """Return `file:line` of a key, for a complaint about another."""
        return f"{self.label}:{self.line(path)}"

    def written(self, path: Path) -> str:
        """Return the line on which a key stands, as it was written."""
        return self.text.split("\n")[self.line(path) - 1]


class Spot(NamedTuple):
    """A place in a file that can be complained about."""

    source: Source
    path: Path

    def __truediv__(self, key: str | int) -> Spot:
        """Return the place of a key in this table."""
        return Spot(self.source, (*self.path, key))

    def __str__(self) -> str:
        """Return `file:line`."""
        return self.source.place(self.path)


class Report:
    """Everything that is wrong, or probably not meant."""

    def __init__(self) -> None:
        self._complaints: dict[tuple[Spot, str], None] = {}
        self._failures: list[tuple[int, Complaint]] = []
        self._warnings: dict[tuple[Spot, str], None] = {}
        self._loose: dict[str, None] = {}

    def complain(self, spot: Spot, text: str) -> None:
        """Say that something is wrong; the same about the same place is said once."""
        self._complaints[(spot, text)] = None

    def fail(self, number: int, label: str, text: str, line: int = 0) -> None:
        """Say that a file as a whole cannot be used; `number` as in Source."""
        self._failures.append((number, Complaint(label, line, "", text)))

    def warn(self, spot: Spot, text: str) -> None:
        """Say that something is probably not meant."""
        self._warnings[(spot, text)] = None

    def warn_about(self, label: str, text: str) -> None:
        """Say the same of a file or directory."""
        self._loose[str(Complaint(label, 0, "", text))] = None

    def complaints(self) -> list[Complaint]:
        """Return all complaints in the order of reading, and in a file by line."""
        found = self._failures + [
            (spot.source.number, _complaint(spot, text)) for spot, text in self._complaints
        ]
        found.sort(key=lambda item: (item[0], item[1].line, item[1].key))
        return [complaint for _, complaint in found]

    def warnings(self) -> tuple[str, ...]:
        """Return all warnings as texts."""
        lines = (str(_complaint(spot, text)) for spot, text in self._warnings)
        return (*self._loose, *lines)


def _complaint(spot: Spot, text: str) -> Complaint:
    return Complaint(spot.source.label, spot.source.line(spot.path), dotted(spot.path), text)


def parse(label: str, path: str, number: int, report: Report) -> Source | None:
    """Read one file; complain and return None if it cannot be read or is no TOML."""
    import tomli

    try:
        data = read_regular(path)
    except OSError as error:
        report.fail(number, label, f"cannot read it: {error.strerror}")
        return None
    try:
        # Some editors put a byte order mark before UTF-8.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].split(b"\n")
        column = len(before[-1]) + 1
        text = f"column {column}: not UTF-8 (byte 0x{data[error.start]:02x})"
        report.fail(number, label, text, len(before))
        return None
    try:
        return Source(label, path, number, text, tomli.loads(text))
    except tomli.TOMLDecodeError as error:
        text = _defined_twice(label, error.doc, error.lineno) if "Cannot" in error.msg else ""
        text = text or f"column {error.colno}: {error.msg}{_advice(error.doc, error.lineno)}"
        report.fail(number, label, text, error.lineno)
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, hundreds of nested brackets: no line is known.
        report.fail(number, label, str(error))
    return None


def _defined_twice(label: str, text: str, line: int) -> str:
    """Say what is defined on `line` for the second time, and where first; "" if nothing is.

    Called for text that is no TOML, so it only compares lines: a table of the same header, or a
    key of the same name that stands above it in its table.
    """
    lines = [written.strip() for written in text.split("\n")]
    above = list(enumerate(lines[: line - 1], start=1))
    if (found := _HEADER.match(lines[line - 1])) is not None:
        for number, written in above:
            if (other := _HEADER.match(written)) is not None and other[1] == found[1]:
                return f"{found[1]}: is defined twice, first at {label}:{number}"
    elif (found := _KEY.match(lines[line - 1])) is not None:
        first = 0
        for number, written in reversed(above):
            if (header := _HEADER.match(written)) is not None:
                key = f"{header[1]}.{found[1]}"
                return f"{key}: is set twice, first at {label}:{first}" if first else ""
            if (other := _KEY.match(written)) is not None and other[1] == found[1]:
                first = number
    return ""


def _advice(text: str, line: int) -> str:
    """Return what to write instead, for mistakes that users of Supervisor's file make."""
    written = text.split("\n")[line - 1].strip()
    if header := re.match(r"\[\s*(program|group)\s*:\s*([^\]\s]+)\s*\]", written):
        return f"; write [{dotted(header.groups())}]"
    if re.match(r"[A-Za-z_]+\s*=\s*[^\s\"'\[{0-9]", written):
        return "; put text in quotes"
    if written.startswith(";"):
        return '; comments begin with "#"'
    return ""
