"""supervisord.conf -> TOML that behaves the same, and a report of what does not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from supervisor_lite.migrate.belonging import KNOWN, refuse_others
from supervisor_lite.migrate.daemon import adjust_daemon, in_foreground
from supervisor_lite.migrate.groups import GroupConverter
from supervisor_lite.migrate.ini import read
from supervisor_lite.migrate.keys import KINDS, Keys
from supervisor_lite.migrate.logs import separate
from supervisor_lite.migrate.programs import ProgramConverter
from supervisor_lite.migrate.report import ConversionNote, Notes
from supervisor_lite.migrate.sections import File, Ini, Section
from supervisor_lite.migrate.servers import servers
from supervisor_lite.migrate.toml_writer import TomlTable, comment, render
from supervisor_lite.text import suggest

MAIN = "supervisor.toml"

_AS_SUPERVISOR = (
    'leftovers = "keep" and stdin = "pipe" are what Supervisor does. Without them, nothing that a',
    "program has started outlives it, and its stdin is /dev/null.",
)


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion has given."""

    files: dict[str, str]
    """TOML by file name, relative to the directory that was asked for; supervisor.toml first."""
    sources: dict[str, list[str]]
    """By the same names: the files that were read for it."""
    notes: tuple[ConversionNote, ...]


def convert(path: str, out: str | None = None) -> Conversion:
    """Convert a supervisord.conf with everything it includes.

    `out` is the directory in which the files will be written; without it everything goes to one
    text, whose place is not known, so that every path in it is absolute. Nothing is written here.
    Raises ConfigError if Supervisor could not read the file either.
    """
    notes = Notes()
    ini = read(path, notes)
    refuse_others(ini)
    names = _file_names(ini.files, out)
    targets = {
        label: None if out is None else os.path.dirname(os.path.abspath(os.path.join(out, name)))
        for label, name in names.items()
    }
    keys = Keys(notes, targets, _base(ini))
    converter = _Converter(ini, keys)
    converter.convert()
    texts: dict[str, list[str]] = {}
    sources: dict[str, list[str]] = {}
    for file in ini.files:
        made = [f"Converted from {file.label} by slctl import."]
        keeps = converter.has_programs(None if out is None else file)
        made += _AS_SUPERVISOR if keeps else ()
        if file is not ini.files[0] and out is None:
            made = [f"From {file.label}:"]
        head = [*file.head, *([""] if file.head else []), *map(comment, made)]
        text = render(converter.tables(file), head, file.foot)
        texts.setdefault(names[file.label], []).append(text)
        sources.setdefault(names[file.label], []).append(file.path)
    files = {name: "\n".join(filter(None, parts)) for name, parts in texts.items()}
    return Conversion(files, sources, notes.listed([file.label for file in ini.files]))


def _file_names(files: list[File], out: str | None) -> dict[str, str]:
    """Return where each file goes, by label."""
    names = {files[0].label: MAIN}
    taken: set[str] = set()
    for file in files[1:]:
        if out is None:
            names[file.label] = MAIN
            continue
        directory, base = os.path.split(file.label)
        # A name that begins with a dot is not included.
        stem = os.path.splitext(base)[0].lstrip(".") or "included"
        wanted = (stem, f"{os.path.basename(directory) or 'root'}-{stem}")
        numbered = (f"{stem}-{number}" for number in range(2, len(files) + 2))
        name = next(name for name in chain(wanted, numbered) if name not in taken)
        taken.add(name)
        names[file.label] = f"conf.d/{name}.toml"
    return names


def _base(ini: Ini) -> str:
    """Return the directory that relative paths are taken from, as far as one can know."""
    main = ini.files[0].here
    section = ini.sections.get("supervisord")
    # In the foreground Supervisor stays where it was started.
    moves = section is not None and not in_foreground(section)
    directory = section.text("directory") if section is not None and moves else None
    if directory is None or "%" in directory or not os.path.isabs(directory):
        return main
    return os.path.normpath(directory)


def _comments_of(section: Section) -> Iterator[TomlTable]:
    """Yield the comments above and in a section that becomes no table."""
    if section.kind.endswith("_http_server"):
        return  # they go to the gateway
    above = [*section.above]
    for setting in section.settings.values():
        above += () if setting.inherited else setting.above
    if any(above := [*above, *section.below]):
        yield TomlTable((), above=above)


class _Converter:
    """The conversion of all sections."""

    def __init__(self, ini: Ini, keys: Keys) -> None:
        self._ini = ini
        self._keys = keys
        self._groups = GroupConverter(ini, keys)
        self._programs = ProgramConverter(ini, keys, self._groups)
        self._tables: dict[str, list[TomlTable]] = {file.label: [] for file in ini.files}
        """By label of the old file."""
        self._daemon_log: str | None = None

    def tables(self, file: File) -> list[TomlTable]:
        """Return what goes into the TOML of one file."""
        return self._tables[file.label]

    def has_programs(self, file: File | None) -> bool:
        """Tell whether a program stands in this file, or in any."""
        files = self._tables.values() if file is None else [self.tables(file)]
        return any(table.path[:1] == ("program",) for table in chain(*files))

    def convert(self) -> None:
        """Convert every section."""
        main = self.tables(self._ini.files[0])
        daemon = TomlTable(("daemon",))
        for section in self._ini.sections.values():
            for table in self._section(section):
                if table.path == ("daemon",):
                    daemon = table
                else:
                    self.tables(section.file).append(table)
        reached = list(servers(self._ini, self._keys, daemon))
        # [daemon] can only stand in the main file, and is what one looks for first.
        main[:0] = [*([daemon] if daemon.lines or daemon.above else []), *reached]
        programs = self._programs.converted
        dropped: list[TomlTable] = []
        for table in list(chain(*self._tables.values())):
            if table.path[:1] == ("group",):
                dropped += self._groups.drop_missing(table, programs)
        gone = set(map(id, dropped))
        for tables in self._tables.values() if gone else ():
            tables[:] = (table for table in tables if id(table) not in gone)
        writers = chain(programs.values(), self._programs.listeners)
        separate(writers, self._daemon_log, self._keys)

    def _section(self, section: Section) -> Iterator[TomlTable]:
        """Yield what one section becomes."""
        kind, notes = section.kind, self._keys.notes(section)
        if kind == "supervisord":
            lines = self._keys.convert(section)
            adjust_daemon(section, lines, self._keys)
            line = lines.get("logfile")
            self._daemon_log = None if line is None else os.path.normpath(str(line.value))
            yield TomlTable(("daemon",), lines, section.above)
        elif kind == "group":
            yield from self._groups.convert(section)
        elif kind in KINDS:
            yield from self._programs.convert(section)
        else:
            yield from _comments_of(section)
        if kind == "rpcinterface":
            factory = section.text("supervisor.rpcinterface_factory")
            main = factory == "supervisor.rpcinterface:make_main_rpcinterface"
            if not main or section.name != "rpcinterface:supervisor":
                notes.warn_lossy("plugins of Supervisor cannot be loaded here; left out")
        elif kind == "ctlplugin":
            notes.warn_lossy("plugins of supervisorctl cannot be loaded here; left out")
        elif kind not in KNOWN:
            near = suggest(kind, KNOWN)
            notes.note(f"Supervisor knows no such section and ignores it{near}")
