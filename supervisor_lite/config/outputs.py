"""Where the output of processes goes, and that no two of them write to one file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from supervisor_lite.config.diagnostics import Diagnostics
from supervisor_lite.config.paths import directory_of_others, log_error
from supervisor_lite.config.read import Entry, Values
from supervisor_lite.config.schema.program import PROGRAM
from supervisor_lite.config.source import Location
from supervisor_lite.model.output import Output
from supervisor_lite.model.program import Program
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.protocol.directories import OWN_FILES
from supervisor_lite.special_files import is_special, special_error
from supervisor_lite.users import user_id

_KEYS = {
    stream: [key for key in PROGRAM.keys if key.within == stream] for stream in ("stdout", "stderr")
}
_NOT_OF_ANSWERS = ("syslog", "events_enabled", "capture_maxbytes")


class _Claim(NamedTuple):
    """Who writes to a file."""

    owner: str
    location: Location | None
    backups: int
    process: Program | None = None


class Outputs:
    """Resolves the keys `stdout_…` and `stderr_…` and checks them against each other.

    `files` are those of the configuration: no log goes into one of them.
    """

    def __init__(
        self, settings: DaemonSettings, diagnostics: Diagnostics, files: Iterable[str]
    ) -> None:
        self._log_dir = settings.log_dir
        self._own_directories = (settings.runtime_dir, settings.state_dir, settings.log_dir)
        self._prefix = settings.output_prefix
        self._strip_ansi = settings.strip_ansi
        self._on_full = settings.on_full
        self._diagnostics = diagnostics
        self._shared: dict[Output, Output] = {}
        self._claims: dict[str, _Claim] = {}
        self._reported: set[Location] = set()
        self._real_directories: dict[str, str] = {}
        self._errors: dict[str, str] = {}
        """By path, why no log can be there; empty if one can."""
        self._special: dict[str, bool] = {}
        self._daemon = user_id(settings.user) if settings.user is not None else os.geteuid()
        self._foreign: dict[str, str] = {}
        """By directory, whose it is, or is in, that is neither root nor the daemon's user."""
        self._reserved = {self._identity(path): "a file of the configuration" for path in files}
        for directory in (settings.runtime_dir, settings.state_dir):
            for name in OWN_FILES:
                self._reserved[self._identity(f"{directory}/{name}")] = "a file of the daemon's own"
        self._reserved[self._identity(settings.pidfile)] = "the daemon's pid file"
        self._reserved[self._identity(settings.socket)] = "the control socket"
        if settings.logfile is not None and not self._is_special(settings.logfile):
            rotated = settings.logfile_backups if settings.logfile_maxbytes else 0
            self._claims[self._identity(settings.logfile)] = _Claim("the daemon", None, rotated)

    def resolve(
        self, stream: str, values: Values, fullname: str, entry: Entry, *, answers: bool = False
    ) -> Output:
        """Return where one stream ("stdout", "stderr") of a process goes.

        `answers`: it is what an event listener says to us.
        """
        target = self._target(stream, values, entry)
        # Whatever is not set keeps the default of its field.
        fields: dict[str, Any] = {
            key.field: values[key.name] for key in _KEYS[stream] if key.name in values
        }
        fields["syslog"] = bool(fields.get("syslog")) or target == "syslog"
        fields["strip_ansi"] = self._strip_ansi
        fields["on_full"] = values.get("on_full") or self._on_full
        fields["path"] = None
        if target == "auto":
            # A name holds neither "/" nor ":", so this is safe; where a dot in a name makes two
            # of them equal, the check for shared files says so.
            file = f"{fullname.replace(':', '.')}.{stream}.log"
            fields["path"] = os.path.join(self._log_dir, file)
        elif target not in ("none", "syslog"):
            fields |= self._file(target, stream, fields, fullname, entry)
        if answers:
            self._reserve_for_answers(stream, values, fields, entry)
        output = Output(**fields)
        return self._shared.setdefault(output, output)

    def _target(self, stream: str, values: Values, entry: Entry) -> str:
        """Return what the key `…_logfile` means: a word or a path."""
        key = f"{stream}_logfile"
        target = str(values.get(key, "auto"))
        if stream == "stderr" and values.get("redirect_stderr"):
            if target not in ("auto", "none"):
                text = "has no effect with redirect_stderr = true"
                self._diagnostics.warn(entry.at(key), text)
            return "none"
        return target

    def _file(
        self, path: str, stream: str, fields: dict[str, Any], fullname: str, entry: Entry
    ) -> dict[str, Any]:
        """Return what follows from a path: a device is not rotated, and may be shared."""
        key = f"{stream}_logfile"
        if not self._is_special(path):
            if text := self._path_error(path):
                self._diagnostics.error(entry.at(key), text)
            elif text := self._others(os.path.dirname(path)):
                self._diagnostics.warn(entry.at(key), text)
            return {"path": path}
        if text := special_error(path):
            self._diagnostics.error(entry.at(key), text)
        if fields.get("maxbytes") and f"{key}_maxbytes" in entry.raw:
            text = f"has no effect: {path} is no regular file and is never rotated"
            self._diagnostics.warn(entry.at(f"{key}_maxbytes"), text)
        mark = "|" if stream == "stdout" else "!"
        prefix = f"{fullname} {mark} " if self._prefix else ""
        return {"path": path, "maxbytes": 0, "prefix": prefix}

    def _reserve_for_answers(
        self, stream: str, values: Values, fields: dict[str, Any], entry: Entry
    ) -> None:
        """Take from an output what would come between an event listener and us."""
        for field in _NOT_OF_ANSWERS:
            if values.get(key := f"{stream}_{field}"):
                text = "has no effect: what an event listener writes there is its answers"
                self._diagnostics.warn(entry.at(key), text)
            fields.pop(field, None)
        fields["strip_ansi"] = False
        fields["answers"] = True

    def claim(self, process: Program, entry: Entry) -> None:
        """Note which files a process writes; report it if another writes the same."""
        for stream, output in (("stdout", process.stdout), ("stderr", process.stderr)):
            if output.path is None or self._is_special(output.path):
                continue
            identity = self._identity(output.path)
            location = entry.at(f"{stream}_logfile")
            if identity in self._reserved:
                text = f"cannot write {output.path}: it is {self._reserved[identity]}"
                self._diagnostics.error(location, text)
            rotated = output.backups if output.maxbytes else 0
            claim = _Claim(f'{stream} of "{process.fullname}"', location, rotated, process)
            first = self._claims.setdefault(identity, claim)
            # Of a thousand processes of one program with one log, one is worth an error; of
            # processes with one name none: that is reported already.
            if (
                first is not claim
                and location not in self._reported
                and not _same_name(first, claim)
            ):
                self._reported.add(location)
                text = f"{first.owner} and {claim.owner} write to one file, {output.path}"
                self._diagnostics.error(location, text + _way_out(first.process, process))

    def check_rotated(self) -> None:
        """Report logs whose names another log's rotated files will take. Called at the end."""
        for path, claim in self._claims.items():
            match = re.fullmatch(r"(.+)\.([1-9][0-9]{0,8})", path, re.DOTALL)
            base = self._claims.get(match[1]) if match else None
            if match is None or base is None or int(match[2]) > base.backups:
                continue
            location = claim.location or base.location
            if location is not None:
                text = f"{claim.owner} writes to {path}, where {base.owner} keeps a rotated log"
                self._diagnostics.error(location, text)

    def _is_special(self, path: str) -> bool:
        if path not in self._special:
            self._special[path] = is_special(path)
        return self._special[path]

    def _identity(self, path: str) -> str:
        """Return one name for a file, also where its directory has several, or it is a link."""
        directory, name = os.path.split(path)
        if directory not in self._real_directories:
            self._real_directories[directory] = os.path.realpath(directory)
        real = f"{self._real_directories[directory]}/{name}"
        return os.path.realpath(real) if os.path.islink(real) else real

    def _others(self, directory: str) -> str:
        if directory not in self._foreign:
            path = os.path.join(directory, "log")
            self._foreign[directory] = directory_of_others(path, self._daemon)
        return self._foreign[directory]

    def _path_error(self, path: str) -> str:
        if path not in self._errors:
            self._errors[path] = log_error(path, self._own_directories)
        return self._errors[path]


def _same_name(first: _Claim, second: _Claim) -> bool:
    """Tell whether these are two processes that differ in nothing that could name a file."""
    if first.process is None or second.process is None or first.process is second.process:
        return False
    return first.process.fullname == second.process.fullname


def _way_out(first: Program | None, second: Program) -> str:
    """Say how to give two processes a log each."""
    if first is second:
        return "; use redirect_stderr = true for that"
    if first is None or first.program != second.program:
        return ""
    key = "%(group_name)s" if first.group != second.group else "%(process_num)d"
    return f"; put {key} into its name"
