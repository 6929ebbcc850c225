"""Everything that is wrong with a configuration, or probably not meant, with file, line and key.

Diagnostics are collected while the files are read and resolved, so that all are reported at once.
Lines are looked up at the end, and only in files that are mentioned.
"""

from __future__ import annotations

from supervisor_lite.config.source import Location
from supervisor_lite.config.wording import dotted
from supervisor_lite.errors import Diagnostic
from supervisor_lite.model.advice import Advice
from supervisor_lite.model.cause import SpawnFailure


class Diagnostics:
    """The errors and warnings of one reading."""

    def __init__(self) -> None:
        self._errors: dict[tuple[Location, str], None] = {}
        self._file_errors: list[tuple[int, Diagnostic]] = []
        self._warnings: dict[tuple[Location, str | Advice | SpawnFailure], None] = {}
        self._path_warnings: dict[str, None] = {}

    def error(self, location: Location, text: str) -> None:
        """Report that something is wrong; the same at the same place is reported once."""
        self._errors[(location, text)] = None

    def error_in_file(self, number: int, label: str, text: str, line: int = 0) -> None:
        """Report that a file as a whole cannot be used; `number` as in Source."""
        self._file_errors.append((number, Diagnostic(label, line, "", text)))

    def warn(self, location: Location, text: str) -> None:
        """Report that something is probably not meant."""
        self._warnings[(location, text)] = None

    def advise(self, location: Location, about: Advice | SpawnFailure) -> None:
        """Report that something is probably not meant, as data; the same once."""
        self._warnings[(location, about)] = None

    def warn_about_path(self, label: str, text: str) -> None:
        """Report the same of a file or directory."""
        self._path_warnings[str(Diagnostic(label, 0, "", text))] = None

    def errors(self) -> list[Diagnostic]:
        """Return all errors in the order of reading, and in a file by line."""
        found = self._file_errors + [
            (location.source.number, _diagnostic(location, text)) for location, text in self._errors
        ]
        found.sort(key=lambda item: (item[0], item[1].line, item[1].key))
        return [diagnostic for _, diagnostic in found]

    def warnings(self) -> tuple[str, ...]:
        """Return all warnings as texts."""
        lines = (str(_diagnostic(location, _text(about))) for location, about in self._warnings)
        return (*self._path_warnings, *lines)


def _text(about: str | Advice | SpawnFailure) -> str:
    if isinstance(about, str):
        return about
    if isinstance(about, SpawnFailure):
        return about.text
    from supervisor_lite.explain.advice import advice_text  # a correct configuration needs none

    return advice_text(about)


def _diagnostic(location: Location, text: str) -> Diagnostic:
    source, path = location
    return Diagnostic(source.label, source.line(path), dotted(path), text)
