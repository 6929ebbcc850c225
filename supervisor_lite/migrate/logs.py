"""Logs of which two processes write one file: Supervisor allows that, here each has its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from supervisor_lite.migrate.keys import Keys
from supervisor_lite.migrate.percent import escaped
from supervisor_lite.migrate.sections import Section
from supervisor_lite.migrate.toml_writer import Line, TomlTable
from supervisor_lite.special_files import is_special

_WORDS = ("auto", "none", "syslog")
_NUMBER = "%(process_num)02d"


@dataclass(slots=True, eq=False)
class Converted:
    """A program that was converted."""

    name: str
    section: Section
    table: TomlTable
    groups: list[str]
    """The groups it is a member of; the group of its own is not counted."""

    def log(self, stream: str) -> str | None:
        """Return the path of a log, None for all that is no file."""
        line = self.table.lines.get(f"{stream}_logfile")
        path = None if line is None else str(line.value)
        if path is None or path in _WORDS or ("%" not in path and is_special(path)):
            return None
        return path


def separate(programs: Iterable[Converted], daemon_log: str | None, keys: Keys) -> None:
    """Give every output of programs and listeners a file of its own, and say where it was done."""
    taken = _Taken()
    if daemon_log is not None:
        taken.add(daemon_log, "the daemon")
    for program in programs:
        if program.section.kind != "eventlistener":
            _join_streams(program, keys)
        for stream in ("stdout", "stderr"):
            path = program.log(stream)
            if path is not None:
                _own(program, stream, path, taken, keys)


def _join_streams(program: Converted, keys: Keys) -> None:
    """Leave stderr to stdout's log where both were the same file."""
    lines = program.table.lines
    redirected = lines.get("redirect_stderr")
    path = program.log("stderr")
    if redirected is not None and redirected.value is True:
        if path is not None or "stderr_logfile" in lines:
            if path is not None:
                text = "has no effect with redirect_stderr; left out"
                keys.notes(program.section, "stderr_logfile").note(text)
            for key in ("stderr_logfile", "stderr_logfile_maxbytes", "stderr_logfile_backups"):
                lines.pop(key, None)
    elif path is not None and path == program.log("stdout"):
        text = "is the file of stdout too: redirect_stderr = true is how that is written here"
        keys.notes(program.section, "stderr_logfile").note(text)
        kept: dict[str, Line] = {}
        for key, line in lines.items():
            if key == "stderr_logfile":
                kept["redirect_stderr"] = Line(True, line.above, line.beside)
            elif key not in (
                "stderr_logfile_maxbytes", "stderr_logfile_backups", "redirect_stderr",
            ):  # fmt: skip
                kept[key] = line
        lines.clear()
        lines.update(kept)


def _own(program: Converted, stream: str, path: str, taken: _Taken, keys: Keys) -> None:
    """Make the path of one log differ from every other."""
    line = program.table.lines[f"{stream}_logfile"]
    numprocs = program.table.lines.get("numprocs")
    several = numprocs is not None and numprocs.value not in (0, 1)
    new, why = path, ""
    if several and "%(process_num)" not in path:
        new, why = _with(new, f"_{_NUMBER}"), "all its processes write to this file"
    if len(program.groups) > 1 and "%(group_name)" not in path:
        new, why = _with(new, "_%(group_name)s"), "it writes to this file in several groups"
    common, number = new, 1
    while (plain := _plain(program, new)) in taken:
        if number == 1:
            other = taken.owner(plain)
            why = f"{other} writes there, too"
        name = escaped(program.name) if number == 1 else f"{escaped(program.name)}-{number}"
        new, number = _with(common, f".{name}"), number + 1
    taken.add(plain, f"{stream} of {program.name}")
    if why:
        line.value = new
        text = f"{why}; here each log has one writer"
        keys.notes(program.section, f"{stream}_logfile").warn_lossy(text, f": {new}")


class _Taken:
    """The files that have a writer, with the names that they get when they are rotated."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}
        self._like_rotated: set[str] = set()
        """The paths of which a file has the name of a rotated one."""
        self._real: dict[str, str] = {}
        """What directories are called without links."""

    def __contains__(self, path: str) -> bool:
        path = self._identity(path)
        base, _, number = path.rpartition(".")
        rotated = number.isdigit() and base in self._owners
        return path in self._owners or rotated or path in self._like_rotated

    def _identity(self, path: str) -> str:
        """Return one name for a file whose directory has several."""
        directory, name = os.path.split(path)
        if directory not in self._real:
            self._real[directory] = os.path.realpath(directory)
        return os.path.join(self._real[directory], name)

    def owner(self, path: str) -> str:
        """Say who writes there."""
        return self._owners.get(self._identity(path), "the rotation of another log")

    def add(self, path: str, owner: str) -> None:
        """Note who writes to a file."""
        path = self._identity(path)
        self._owners[path] = owner
        base, _, number = path.rpartition(".")
        if number.isdigit():
            self._like_rotated.add(base)


def _with(path: str, addition: str) -> str:
    """Put something before the ending of a file name."""
    stem, ending = os.path.splitext(path)
    # An expansion may hold a dot: %(x).3s is no ending.
    if ")" in ending:
        stem, ending = path, ""
    return f"{stem}{addition}{ending}"


def _plain(program: Converted, path: str) -> str:
    """Return a path with the names filled in that are known, to compare it with others."""
    names: Mapping[str, str] = {"program_name": program.name}
    if len(program.groups) < 2:
        names = {**names, "group_name": (program.groups or [program.name])[0]}
    for name, value in names.items():
        path = path.replace(f"%({name})s", escaped(value))
    return os.path.normpath(path)
