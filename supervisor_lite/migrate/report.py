"""Notes about a conversion: what will be different, and what is good to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class ConversionNote:
    """One remark about one place in the old file."""

    file: str
    line: int
    section: str
    key: str
    text: str
    lossy: bool
    """Will the result behave differently? If not, it is good to know, no more."""

    def __str__(self) -> str:
        return self.labelled("")

    def labelled(self, label: str) -> str:
        """Return the note for people, with a label between the place and the rest."""
        where = f"[{self.section}]" if self.section else ""
        where = f"{where} {self.key}".strip()
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {label}{where}: {self.text}" if where else f"{place}: {label}{self.text}"


class Notes:
    """Collects notes; the same about the same place is said once."""

    def __init__(self) -> None:
        self._all: dict[ConversionNote, None] = {}

    def warn_lossy(self, file: str, line: int, section: str, key: str, text: str) -> None:
        """Say that something will be different."""
        self._all[ConversionNote(file, line, section, key, text, lossy=True)] = None

    def note(self, file: str, line: int, section: str, key: str, text: str) -> None:
        """Say something that is good to know."""
        self._all[ConversionNote(file, line, section, key, text, lossy=False)] = None

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

    def warn_lossy(self, text: str) -> None:
        """Say that it will be different."""
        self.notes.warn_lossy(self.file, self.line, self.section, self.key, text)

    def note(self, text: str) -> None:
        """Say what is good to know about it."""
        self.notes.note(self.file, self.line, self.section, self.key, text)
