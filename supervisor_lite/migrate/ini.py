"""Read a supervisord.conf as Supervisor does, and remember where everything stood.

The grammar is RawConfigParser's, set up as Supervisor sets it up, so it is not written a second
time here. The parser keeps neither lines nor comments. But it reads one line at a time, and stores
what is on a line before it asks for the next one:

- a new section or key by `table[name] = …`, a key as the list of its lines;
- what goes on, a section or a value, by `table[name]`, to add to it.

The tables are ours and note the line that is being read at that moment. CPython documents none of
this; tests/migrate/test_ini.py pins it for every Python that we support.
"""

from __future__ import annotations

import configparser
import glob
import io
import os
from collections.abc import Iterator
from functools import partial

from supervisor_lite.errors import ConfigError, Diagnostic
from supervisor_lite.migrate import comments
from supervisor_lite.migrate.percent import PercentError, expand_here
from supervisor_lite.migrate.report import ConversionNote, Kind, Notes, shown_key
from supervisor_lite.migrate.sections import File, Ini, Section, Setting

_NEITHER = "neither key=value nor [section]: what goes on with a value must be indented"


def read(path: str, notes: Notes) -> Ini:
    """Read a file and what it includes. Raises ConfigError if Supervisor could not read it."""
    return _Reading(notes).read(path)


class _IniTable(dict[str, object]):
    """What the parser stores its sections, and the keys of each, in."""

    def __init__(self, reading: _Reading) -> None:
        super().__init__()
        self._reading = reading

    def __setitem__(self, name: str, value: object) -> None:
        # A key is set to the list of its lines first, and to their text at the end.
        if isinstance(value, list):
            self._reading.found_setting(self, name)
        elif isinstance(value, _IniTable):
            self._reading.found_section(name, value)
        super().__setitem__(name, value)

    def __getitem__(self, name: str) -> object:
        # While it reads, the parser asks for what it is about to add to.
        value = super().__getitem__(name)
        if isinstance(value, _IniTable):
            self._reading.found_section(name, value)
        elif isinstance(value, list):
            self._reading.found_more(self, name)
        return value


class _Reading:
    """The reading of one configuration."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._files: list[File] = []
        self._sections: dict[str, Section] = {}
        self._defaults: dict[str, Setting] = {}
        self._tables: dict[int, tuple[str, dict[str, Setting], _IniTable]] = {}
        """By identity of a table of the parser: its section, the settings in it, and itself.

        Those of the current file.
        """
        self._labels: set[str] = set()
        self._line = 0
        self._marks: dict[int, Section | Setting] = {}
        """What stands on which line of the file that is being read."""
        # dict_type is only called, so it need not be a type.
        self._parser = configparser.RawConfigParser(  # type: ignore[call-overload]
            dict_type=partial(_IniTable, self),
            strict=False,
            inline_comment_prefixes=(";", "#"),
        )

    def read(self, path: str) -> Ini:
        self._read_file(path, path)
        for label, file in self._included(path):
            self._read_file(label, file)
        for section in self._sections.values():
            for key, setting in self._defaults.items():
                own = Setting(setting.value, setting.file, setting.line, inherited=True)
                section.settings.setdefault(key, own)
        return Ini(self._files, self._sections)

    # called by the tables

    def found_section(self, name: str, table: _IniTable) -> None:
        """Note the header of a section on the current line."""
        if not self._line:
            return
        section = self._sections.get(name)
        if section is None:
            section = Section(name, self._files[-1], self._line)
            self._sections[name] = section
        elif section.line != self._line or section.file is not self._files[-1]:
            place = f"{section.file.label}:{section.line}"
            text = f"is a part of the section that began at {place}; they are merged"
            if name == "include" and len(self._files) > 1:
                text = "Supervisor ignores this in a file that is included"
            self._say(self._files[-1].label, self._line, name, "", text)
        self._tables.setdefault(id(table), (name, section.settings, table))
        self._marks[self._line] = section

    def found_setting(self, table: _IniTable, key: str) -> None:
        """Note a key on the current line."""
        section, settings, _ = self._tables[id(table)]
        if key in settings and section != "include":
            first = settings[key]
            text = f"is set before, at {first.file.label}:{first.line}; the last one counts"
            self._say(self._files[-1].label, self._line, section, shown_key(key), text)
        settings[key] = Setting("", self._files[-1], self._line)
        self._marks[self._line] = settings[key]

    def found_more(self, table: _IniTable, key: str) -> None:
        """Note that the value of a key goes on."""
        if self._line not in self._marks:
            self._marks[self._line] = self._tables[id(table)][1][key]

    # one file

    def _read_file(self, label: str, path: str) -> None:
        path = os.path.abspath(os.path.expanduser(path))
        text = self._text(label, path)
        self._files.append(File(label, path, os.path.dirname(path)))
        self._labels.add(label)
        self._marks = {}
        # What it still held would be looked through again at the end of every file.
        for name in self._parser.sections():
            self._parser.remove_section(name)
        table = self._parser.defaults()
        assert isinstance(table, _IniTable)
        self._tables = {id(table): ("DEFAULT", self._defaults, table)}
        # Only \n and its relatives end a line, as in a text file; splitlines() knows more.
        lines = list(io.StringIO(text, newline=None))
        try:
            self._parser.read_file(self._counted(lines), label)
        except configparser.MissingSectionHeaderError as error:
            raise _broken(label, error.lineno, "stands before the first [section]") from None
        except configparser.ParsingError as error:
            raise ConfigError(
                [Diagnostic(label, number, "", _NEITHER) for number, _ in error.errors]
            ) from None
        finally:
            self._line = 0
        for _, settings, table in self._tables.values():
            for key in table:
                settings[key].value = str(table[key])
        comments.attach(lines, self._files[-1], self._marks)

    def _text(self, label: str, path: str) -> str:
        try:
            with open(path, "rb") as stream:
                data = stream.read()
        except OSError as error:
            raise _broken(label, 0, f"cannot read it: {error.strerror}") from None
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self._say(label, line, "", "", "is not UTF-8; it was read as Latin-1")
            return data.decode("latin-1")

    def _counted(self, lines: list[str]) -> Iterator[str]:
        for number, line in enumerate(lines, 1):
            self._line = number
            yield line

    # what it includes

    def _included(self, main: str) -> Iterator[tuple[str, str]]:
        """Yield label and path of every included file, as Supervisor finds them."""
        section = self._sections.get("include")
        if section is None:
            return
        setting = section.settings.get("files")
        if setting is None:
            raise _broken(section.file.label, section.line, "[include] has no files=")
        here = setting.file.here
        try:
            patterns = expand_here(setting.value, here, dict(os.environ)).split()
        except PercentError as error:
            raise _broken(setting.file.label, setting.line, f"[include] files: {error}") from None
        for pattern in patterns:
            found = sorted(glob.glob(os.path.join(here, pattern)))
            if not found:
                self._note(setting, f'"{pattern}" matches no file')
            for path in found:
                beside = os.path.relpath(path, here)
                known = not beside.startswith("..") and not os.path.isabs(pattern)
                label = os.path.join(os.path.dirname(main), beside) if known else path
                if os.path.isfile(path) and os.access(path, os.R_OK):
                    if label not in self._labels:
                        yield label, path
                else:
                    self._note(setting, f"cannot read {path}: Supervisor skips it without a word")

    def _note(self, setting: Setting, text: str) -> None:
        self._say(setting.file.label, setting.line, "include", "files", text)

    def _say(self, file: str, line: int, section: str, key: str, text: str) -> None:
        self._notes.add(ConversionNote(file, line, section, key, text, Kind.NOTE))


def _broken(label: str, line: int, text: str) -> ConfigError:
    return ConfigError([Diagnostic(label, line, "", text)])
