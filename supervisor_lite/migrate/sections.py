"""What a supervisord.conf holds: files, sections and settings, with their lines and comments."""

from __future__ import annotations

from dataclasses import dataclass, field

from supervisor_lite.migrate.names import usable_name


@dataclass(slots=True, eq=False)
class File:
    """One file that was read."""

    label: str
    """The path as it is shown."""
    path: str
    here: str
    """Its directory, absolute."""
    head: list[str] = field(default_factory=list)
    """Comments that belong to the file and not to what follows them."""
    foot: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Setting:
    """One key of a section, with the comments above and beside it."""

    value: str
    file: File
    line: int
    above: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    inherited: bool = False
    """From [DEFAULT], which the parser adds to every section."""


@dataclass(slots=True, eq=False)
class Section:
    """One section, merged from all its occurrences; it belongs to the file of the first."""

    name: str
    file: File
    line: int
    above: list[str] = field(default_factory=list)
    settings: dict[str, Setting] = field(default_factory=dict)
    below: list[str] = field(default_factory=list)
    """Settings that are commented out at its end."""

    @property
    def kind(self) -> str:
        """`program` of `[program:web]`."""
        return self.name.partition(":")[0]

    @property
    def own_name(self) -> str:
        """`web` of `[program:web]`, or what it is called here if that cannot be."""
        return usable_name(self.written_name)

    @property
    def written_name(self) -> str:
        """`web` of `[program:web]`."""
        return self.name.partition(":")[2].strip()

    def text(self, key: str) -> str | None:
        """Return the value of a key as it was written."""
        setting = self.settings.get(key)
        return None if setting is None else setting.value


@dataclass(slots=True, eq=False)
class Ini:
    """Everything that was read."""

    files: list[File]
    """The main file first."""
    sections: dict[str, Section]
    """In the order of reading."""
