"""supervisord.conf -> TOML that behaves the same, and a report of what does not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from supervisor_lite.config.schema import TABLES
from supervisor_lite.config.types.text import name as check_name
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.migrate.daemon import adjust_daemon
from supervisor_lite.migrate.fcgi import Sockets
from supervisor_lite.migrate.ini import File, Ini, Section, read
from supervisor_lite.migrate.keys import KINDS, Keys
from supervisor_lite.migrate.logs import Converted, separate
from supervisor_lite.migrate.percent import hide, plainly, show
from supervisor_lite.migrate.report import Finding, Findings
from supervisor_lite.migrate.servers import servers
from supervisor_lite.migrate.toml_writer import Line, Table, comment, render
from supervisor_lite.migrate.values import Refused
from supervisor_lite.rules.event_listener.types import MEANINGS
from supervisor_lite.text import suggest

MAIN = "supervisor.toml"

_AS_SUPERVISOR = (
    'leftovers = "keep" and stdin = "pipe" are what Supervisor does. Without them, nothing that a',
    "program has started outlives it, and its stdin is /dev/null.",
)

_STDIN = {"program": "pipe", "fcgi-program": "socket"}
"""What the kinds read from; an event listener has nothing to choose."""

_SILENT = ("supervisorctl", "include", "unix_http_server", "inet_http_server")
"""Sections that become no table of their own, but are no mistake."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion has given."""

    files: dict[str, str]
    """TOML by file name, relative to the directory that was asked for; supervisor.toml first."""
    sources: dict[str, list[str]]
    """By the same names: the files that were read for it."""
    findings: tuple[Finding, ...]


def convert(path: str, out: str | None = None) -> Conversion:
    """Convert a supervisord.conf with everything it includes.

    `out` is the directory in which the files will be written; without it everything goes to one
    text, whose place is not known, so that every path in it is absolute. Nothing is written here.
    Raises ConfigError if Supervisor could not read the file either.
    """
    findings = Findings()
    ini = read(path, findings)
    names = _file_names(ini.files, out)
    targets = {
        label: None if out is None else os.path.dirname(os.path.abspath(os.path.join(out, name)))
        for label, name in names.items()
    }
    keys = Keys(findings, targets, _base(ini))
    converter = _Converter(ini, keys)
    converter.convert()
    texts: dict[str, list[str]] = {}
    sources: dict[str, list[str]] = {}
    for file in ini.files:
        made = [f"Converted from {file.label} by slctl import."]
        keeps = any(map(converter.keeps, ini.files if out is None else [file]))
        made += _AS_SUPERVISOR if keeps else ()
        if file is not ini.files[0] and out is None:
            made = [f"From {file.label}:"]
        head = [*file.head, *([""] if file.head else []), *map(comment, made)]
        text = render(converter.tables(file), head, file.foot)
        texts.setdefault(names[file.label], []).append(text)
        sources.setdefault(names[file.label], []).append(file.path)
    files = {name: "\n".join(filter(None, parts)) for name, parts in texts.items()}
    return Conversion(files, sources, findings.listed([file.label for file in ini.files]))


def _file_names(files: list[File], out: str | None) -> dict[str, str]:
    """Return where each file goes, by label."""
    names = {files[0].label: MAIN}
    for file in files[1:]:
        if out is None:
            names[file.label] = MAIN
            continue
        directory, base = os.path.split(file.label)
        # A name that begins with a dot is not included.
        stem = os.path.splitext(base)[0].lstrip(".") or "included"
        wanted = [stem, f"{os.path.basename(directory) or 'root'}-{stem}"]
        wanted += [f"{stem}-{number}" for number in range(2, len(files) + 2)]
        free = (f"conf.d/{name}.toml" for name in wanted)
        names[file.label] = next(name for name in free if name not in names.values())
    return names


def _base(ini: Ini) -> str:
    """Return the directory that relative paths are taken from, as far as one can know."""
    main = ini.files[0].here
    section = ini.sections.get("supervisord")
    directory = section.text("directory") if section is not None else None
    if directory is None or "%" in directory or not os.path.isabs(directory):
        return main
    return os.path.normpath(directory)


class _Converter:
    """The conversion of all sections."""

    def __init__(self, ini: Ini, keys: Keys) -> None:
        self._ini = ini
        self._keys = keys
        self._sockets = Sockets(keys)
        self._tables: list[tuple[File, Table]] = []
        self._programs: dict[str, Converted] = {}
        self._groups: dict[str, Section] = {}
        self._daemon_log: str | None = None

    def tables(self, file: File) -> Iterator[Table]:
        """Yield what goes into the TOML of one file."""
        return (table for owner, table in self._tables if owner is file)

    def keeps(self, file: File) -> bool:
        """Tell whether a program stands in this file."""
        return any(table.path[:1] == ("program",) for table in self.tables(file))

    def convert(self) -> None:
        """Convert every section."""
        self._find_groups()
        main = self._ini.files[0]
        daemon = Table(("daemon",))
        for section in self._ini.sections.values():
            for table in self._section(section):
                if table.path == ("daemon",):
                    daemon = table
                else:
                    self._tables.append((section.file, table))
        reached = [(main, table) for table in servers(self._ini, self._keys, daemon)]
        # [daemon] can only stand in the main file, and is what one looks for first.
        first = [(main, daemon)] if daemon.lines or daemon.above else []
        self._tables = [*first, *reached, *self._tables]
        self._check_groups()
        separate(list(self._programs.values()), self._daemon_log, self._keys)

    def _find_groups(self) -> None:
        for section in self._ini.sections.values():
            if section.kind == "group":
                self._groups.setdefault(_name(section), section)

    def _section(self, section: Section) -> Iterator[Table]:
        """Yield what one section becomes."""
        kind, say = section.kind, self._keys.say(section)
        if kind == "supervisord":
            lines = self._keys.convert(section)
            adjust_daemon(section, lines, self._keys)
            line = lines.get("logfile")
            self._daemon_log = None if line is None else os.path.normpath(str(line.value))
            yield Table(("daemon",), lines, section.above)
        elif kind == "group":
            yield from self._group(section)
        elif kind in KINDS and KINDS[kind][0] in TABLES:
            yield from self._program(section, kind)
        elif kind == "rpcinterface":
            factory = section.text("supervisor.rpcinterface_factory")
            main = factory == "supervisor.rpcinterface:make_main_rpcinterface"
            if not main or section.name != "rpcinterface:supervisor":
                say.lose("plugins of Supervisor cannot be loaded here; left out")
        elif kind == "ctlplugin":
            say.lose("plugins of supervisorctl cannot be loaded here; left out")
        elif kind not in _SILENT:
            known = [*KINDS, *_SILENT, "rpcinterface", "ctlplugin"]
            say.note(f"Supervisor knows no such section and ignores it{suggest(kind, known)}")

    def _program(self, section: Section, kind: str) -> Iterator[Table]:
        """Yield a program, or a comment that it was left out."""
        name = _name(section)
        say = self._keys.say(section)
        lines: dict[str, Line] = {}
        why = self._why_not(section, name)
        if not why:
            try:
                lines = self._keys.convert(section)
                if "command" not in lines:
                    why = "has no command that could be written here"
                elif kind == "eventlistener" and not _has_events(lines):
                    why = "has no events, or some that do not exist"
                elif kind == "fcgi-program":
                    lines["sockets"] = self._sockets.of(section)
            except Refused as error:
                why = str(error)
            except BadValueError as error:
                why = f"can never be started: its command {error.hint.removeprefix(', which ')}"
                if beside := section.settings["command"].beside:
                    why += f" (to Supervisor the rest is a comment: {beside[0][2:]})"
        if why:
            say.lose(f"{why}; left out")
            left_out = comment(f"[{section.name}] was left out: {why}.")
            yield Table((), above=[*section.above, left_out])
            return
        self._mend(section, lines)
        lines["leftovers"] = Line("keep")
        if kind in _STDIN:
            lines["stdin"] = Line(_STDIN[kind])
        table = Table((KINDS[kind][0], name), lines, section.above)
        if kind != "eventlistener":
            members = [g for g, s in self._groups.items() if name in self._members(s)]
            self._programs[name] = Converted(name, section, table, members)
            if members and kind == "fcgi-program":
                say.lose("Supervisor 4.3 gives it no socket in a group; here it has its socket")
        yield table

    def _why_not(self, section: Section, name: str) -> str:
        """Return why a program cannot be here at all."""
        try:
            check_name(name)
        except BadValueError as error:
            return f"cannot be named like that: expected {error.expected or 'a name'}"
        ordinary = any(
            other.kind == "program" and _name(other) == name
            for other in self._ini.sections.values()
        )
        if name in self._programs or (ordinary and section.kind == "fcgi-program"):
            return "has the name of another program, which Supervisor runs instead"
        group = self._groups.get(name)
        if group is not None and not any(name in self._members(s) for s in self._groups.values()):
            return f"has the name of [{group.name}], so Supervisor never runs it"
        return ""

    def _mend(self, section: Section, lines: dict[str, Line]) -> None:
        """Change what contradicts itself, which Supervisor refuses."""
        numprocs, pattern = lines.get("numprocs"), lines.get("process_name")
        several = numprocs is not None and isinstance(numprocs.value, int) and numprocs.value > 1
        if several and (pattern is None or "%(process_num)" not in str(pattern.value)):
            made = "%(program_name)s_%(process_num)02d"
            text = f"Supervisor refuses several processes with one name; {made} is written"
            self._keys.say(section, "numprocs").lose(text)
            lines["process_name"] = Line(made)
        asked, killed = lines.get("stopasgroup"), lines.get("killasgroup")
        if asked and killed and asked.value is True and killed.value is False:
            text = "Supervisor refuses false with stopasgroup=true; left out, so it is true"
            self._keys.say(section, "killasgroup").lose(text)
            del lines["killasgroup"]

    # groups

    def _members(self, group: Section) -> list[str]:
        text = group.text("programs") or ""
        return [name.strip() for name in text.split(",")]

    def _group(self, section: Section) -> Iterator[Table]:
        name = _name(section)
        say = self._keys.say(section)
        try:
            check_name(name)
        except BadValueError as error:
            say.lose(f"cannot be named like that: expected {error.expected or 'a name'}; left out")
            return
        if self._groups[name] is not section:
            say.lose("has the name of another group, which Supervisor uses instead; left out")
            return
        yield Table(("group", name), self._keys.convert(section), section.above)

    def _check_groups(self) -> None:
        """Take out of groups what is not there."""
        for _, table in self._tables:
            if table.path[:1] != ("group",):
                continue
            line = table.lines.setdefault("programs", Line([]))
            if isinstance(line.value, str) or not isinstance(line.value, list):
                continue
            say = self._keys.say(self._groups[table.path[1]], "programs")
            kept: dict[str, str] = {}
            for name in map(str, line.value):
                program = self._programs.get(name)
                if program is None:
                    say.lose(f'"{name}" is no program that was converted; left out')
                elif name in kept.values():
                    say.note(f'lists "{name}" twice; once is enough')
                else:
                    process = _process_name(program)
                    if process in kept:
                        say.lose(
                            f'the processes of "{kept[process]}" and "{name}" have one name, and '
                            "Supervisor runs only the latter; the former is left out"
                        )
                        self._leave_out(kept[process], table.path[1])
                    kept[process] = name
            line.value = list(kept.values())

    def _leave_out(self, name: str, group: str) -> None:
        """Take a program out of a group, and away if it is in no other."""
        program = self._programs[name]
        program.groups.remove(group)
        if not program.groups:
            del self._programs[name]
            self._tables = [entry for entry in self._tables if entry[1] is not program.table]


def _has_events(lines: dict[str, Line]) -> bool:
    """Are there events, and does each of them exist?"""
    events = lines["events"].value if "events" in lines else []
    words = [events] if isinstance(events, str) else events
    return isinstance(words, list | tuple) and bool(words) and all(w in MEANINGS for w in words)


def _name(section: Section) -> str:
    """Return the name of a program or group."""
    return section.name.partition(":")[2].strip()


def _process_name(program: Converted) -> str:
    """Return the pattern of process names, with what is known filled in."""
    line = program.table.lines.get("process_name")
    if line is None:
        return program.name
    pieces: list[str] = []
    hidden = hide(str(line.value), pieces)
    filled = [program.name if piece == "%(program_name)s" else piece for piece in pieces]
    return plainly(hidden, []) if not pieces else show(hidden, filled)
