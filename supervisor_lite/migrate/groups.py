"""[group:x]: which programs are in which groups, and what of that can be here."""

from __future__ import annotations

from collections.abc import Iterator

from supervisor_lite.config.types.text import name as check_name
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.migrate.keys import Keys
from supervisor_lite.migrate.logs import Converted
from supervisor_lite.migrate.names import usable_name
from supervisor_lite.migrate.percent import hide, plainly, show
from supervisor_lite.migrate.precedence import owners
from supervisor_lite.migrate.report import KeyNotes
from supervisor_lite.migrate.sections import Ini, Section
from supervisor_lite.migrate.toml_writer import Line, TomlTable


class GroupConverter:
    """Converts the groups; of two with one name, the first."""

    def __init__(self, ini: Ini, keys: Keys) -> None:
        self._keys = keys
        self._groups: dict[str, Section] = {}
        self._listed: dict[str, list[str]] = {}
        """By program: the groups that list it."""
        for section in ini.sections.values():
            if section.kind == "group":
                self._groups.setdefault(section.own_name, section)
        for name, group in self._groups.items():
            for member in dict.fromkeys(_members(group)):
                self._listed.setdefault(member, []).append(name)
        self._owners = owners(ini, self._listed)

    def of(self, program: str) -> list[str]:
        """Return the groups that list a program, and that Supervisor uses."""
        listed = self._listed.get(program, ())
        return [name for name in listed if self._owners[name].kind == "group"]

    def conflict(self, section: Section) -> str:
        """Return why Supervisor never uses a section, by its name; empty if it does."""
        name = section.own_name
        if section.kind in ("program", "fcgi-program") and name in self._listed:
            group = self._owners[self._listed[name][0]]
            other = f"is only in a group that has the name of [{group.name}]"
            return "" if self.of(name) else f"{other}, so Supervisor never runs it"
        owner = self._owners[name]
        return "" if owner is section else f"has the name of [{owner.name}]"

    def convert(self, section: Section) -> Iterator[TomlTable]:
        """Yield the table of a group, if it can be here."""
        name = section.own_name
        notes = self._keys.notes(section)
        try:
            check_name(name)
        except BadValueError as error:
            expected = error.expected or "a name"
            notes.warn_lossy(f"cannot be named like that: expected {expected}; left out")
            return
        if why := self.conflict(section):
            notes.warn_lossy(f"{why}, which Supervisor uses instead; left out")
            return
        note_renamed(section, notes)
        yield TomlTable(("group", name), self._keys.convert(section), section.above)

    def drop_missing(self, table: TomlTable, programs: dict[str, Converted]) -> list[TomlTable]:
        """Take out of a group what is not there; return the tables of programs that go with it.

        A program that is in no other group is taken out of `programs` too.
        """
        line = table.lines.setdefault("programs", Line([]))
        if isinstance(line.value, str) or not isinstance(line.value, list):
            return []
        group = table.path[1]
        notes = self._keys.notes(self._groups[group], "programs")
        dropped: list[TomlTable] = []
        kept: dict[str, str] = {}
        for name in map(usable_name, map(str, line.value)):
            program = programs.get(name)
            if program is None:
                notes.warn_lossy(f'"{name}" is no program that was converted; left out')
            elif name in kept.values():
                notes.note(f'lists "{name}" twice; once is enough')
            else:
                process = _process_name(program)
                if process in kept:
                    notes.warn_lossy(
                        f'the processes of "{kept[process]}" and "{name}" have one name, and '
                        "Supervisor runs only the latter; the former is left out"
                    )
                    former = programs[kept[process]]
                    former.groups.remove(group)
                    if not former.groups:
                        del programs[former.name]
                        dropped.append(former.table)
                kept[process] = name
        line.value = list(kept.values())
        return dropped


def note_renamed(section: Section, notes: KeyNotes) -> None:
    """Say that something has another name here."""
    if section.own_name != section.written_name:
        text = f'is called "{section.own_name}" here: "{section.written_name}" cannot be a name'
        notes.warn_lossy(text)


def _members(group: Section) -> list[str]:
    text = group.text("programs") or ""
    return [usable_name(name.strip()) for name in text.split(",")]


def _process_name(program: Converted) -> str:
    """Return the pattern of process names, with what is known filled in."""
    line = program.table.lines.get("process_name")
    if line is None:
        return program.name
    pieces: list[str] = []
    hidden = hide(str(line.value), pieces)
    filled = [program.name if piece == "%(program_name)s" else piece for piece in pieces]
    return plainly(hidden, []) if not pieces else show(hidden, filled)
