"""Notes about a conversion: what will be different, what is to be done, what is good to know."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

_PLACES = 6
"""How many further places a line of the report names."""


class Kind(StrEnum):
    """What a note means for whoever converts."""

    DIFFERENT = "different"
    """The result behaves differently."""
    OPEN = "to do"
    """It behaves the same when something has been done first."""
    NOTE = "note"
    """It is good to know, no more."""


@dataclass(frozen=True, slots=True)
class ConversionNote:
    """One remark about one place in the old file."""

    file: str
    line: int
    section: str
    key: str
    text: str
    kind: Kind
    detail: str = ""
    """What is true of this place only."""

    @property
    def lossy(self) -> bool:
        """Will the result behave differently?"""
        return self.kind is Kind.DIFFERENT

    def __str__(self) -> str:
        return self.labelled("")

    @property
    def place(self) -> str:
        """Where it is."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def labelled(self, label: str) -> str:
        """Return the note for people, with a label between the place and the rest."""
        where = f"[{self.section}]" if self.section else ""
        where = f"{where} {self.key}".strip()
        said = f"{where}: {self.text}{self.detail}" if where else f"{self.text}{self.detail}"
        return f"{self.place}: {label}{said}"


class Finding(NamedTuple):
    """The same remark about one or more places."""

    first: ConversionNote
    others: list[ConversionNote]

    def __str__(self) -> str:
        label = "" if self.first.lossy else f"{self.first.kind}: "
        return self.first.labelled(label) + also(note.place for note in self.others)


def also(places: Iterable[str]) -> str:
    """Say that the same was found at further places; nothing if there are none."""
    named: list[str] = []
    file, count = "", 0
    for place in places:
        count += 1
        if count <= _PLACES:
            before, _, line = place.rpartition(":")
            named.append(line if before == file and line else place)
            file = before
    more = f" and {count - _PLACES} more" if count > _PLACES else ""
    return f" (also at {', '.join(named)}{more})" if count else ""


def grouped(notes: Iterable[ConversionNote]) -> list[Finding]:
    """Return one finding for all notes that say the same about the same key."""
    found: dict[tuple[str, str, Kind], Finding] = {}
    for note in notes:
        # The last word of program.web.directory is what two places have in common.
        key = note.key.rpartition(".")[2]
        finding = found.setdefault((key, note.text, note.kind), Finding(note, []))
        if finding.first is not note:
            finding.others.append(note)
    return list(found.values())


def summary(findings: Iterable[Finding]) -> str:
    """Return the number of each kind, in words."""
    return "; ".join(_counts([finding.first.kind for finding in findings]))


def _counts(kinds: list[Kind]) -> Iterator[str]:
    different, todo, notes = map(kinds.count, Kind)
    if different or not todo:
        yield f"{_many(different, 'thing')} will be different from Supervisor"
    if todo:
        yield f"{_many(todo, 'thing')} to do"
    yield _many(notes, "note")


def _many(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'s' * (number != 1)}"


def shown_key(key: str) -> str:
    """Return a key that is shown; empty for what looks like a piece of a value, maybe a secret."""
    return key if len(key) < 40 and re.fullmatch("[a-z][a-z_.]*", key) else ""


class Notes:
    """Collects notes; the same about the same place is said once."""

    def __init__(self) -> None:
        self._all: dict[ConversionNote, None] = {}

    def add(self, note: ConversionNote) -> None:
        """Take a note."""
        self._all[note] = None

    def listed(self, files: list[str]) -> tuple[ConversionNote, ...]:
        """Return everything, in the order of the files and of the lines in them."""
        order = {label: number for number, label in enumerate(files)}
        return tuple(sorted(self._all, key=lambda f: (order.get(f.file, len(order)), f.line)))


class KeyNotes(NamedTuple):
    """Takes notes about one key of one section."""

    notes: Notes
    file: str
    line: int
    section: str
    key: str = ""

    def warn_lossy(self, text: str, detail: str = "") -> None:
        """Say that it will be different."""
        self._add(text, Kind.DIFFERENT, detail)

    def todo(self, text: str, detail: str = "") -> None:
        """Say what must be done, so that it is not."""
        self._add(text, Kind.OPEN, detail)

    def note(self, text: str, detail: str = "") -> None:
        """Say what is good to know about it."""
        self._add(text, Kind.NOTE, detail)

    def _add(self, text: str, kind: Kind, detail: str) -> None:
        place = (self.file, self.line, self.section, self.key)
        self.notes.add(ConversionNote(*place, text, kind, detail))
