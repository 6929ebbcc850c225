"""Where the output of processes goes, and that no two of them write to one file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from supervisor_lite.config.paths import is_special, no_log
from supervisor_lite.config.read import Entry, Values
from supervisor_lite.config.source import Report, Spot
from supervisor_lite.model.output import Output
from supervisor_lite.model.program import Program
from supervisor_lite.model.settings import DaemonSettings


class _Claim(NamedTuple):
    """Who writes to a file."""

    owner: str
    spot: Spot | None
    backups: int
    process: Program | None = None


class Outputs:
    """Resolves the keys `stdout_…` and `stderr_…` and checks them against each other.

    `files` are those of the configuration: no log goes into one of them.
    """

    def __init__(self, settings: DaemonSettings, report: Report, files: Iterable[str]) -> None:
        self._log_dir = settings.log_dir
        self._made = (settings.runtime_dir, settings.state_dir, settings.log_dir)
        self._prefix = settings.output_prefix
        self._strip_ansi = settings.strip_ansi
        self._report = report
        self._shared: dict[Output, Output] = {}
        self._claims: dict[str, _Claim] = {}
        self._said: set[Spot] = set()
        self._real: dict[str, str] = {}
        self._trouble: dict[str, str] = {}
        self._special: dict[str, bool] = {}
        self._taken = {self._identity(path): "a file of the configuration" for path in files}
        self._taken[self._identity(settings.pidfile)] = "the daemon's pid file"
        self._taken[self._identity(settings.socket)] = "the control socket"
        if settings.logfile is not None and not self._is_special(settings.logfile):
            rotated = settings.logfile_backups if settings.logfile_maxbytes else 0
            self._claims[self._identity(settings.logfile)] = _Claim("the daemon", None, rotated)

    def resolve(
        self, stream: str, values: Values, fullname: str, entry: Entry, *, answers: bool = False
    ) -> Output:
        """Return where one stream ("stdout", "stderr") of a process goes.

        `answers`: it is what an event listener says to us.
        """
        key = f"{stream}_logfile"
        target = values.get(key, "auto")
        if stream == "stderr" and values.get("redirect_stderr"):
            if target not in ("auto", "none"):
                self._report.warn(entry.at(key), "has no effect with redirect_stderr = true")
            target = "none"
        fields: dict[str, Any] = {"path": target}
        # Whatever is not set keeps the default of the dataclass.
        for name, field in (("maxbytes", "maxbytes"), ("backups", "backups")):
            if f"{key}_{name}" in values:
                fields[field] = values[f"{key}_{name}"]
        fields["syslog"] = bool(values.get(f"{stream}_syslog")) or target == "syslog"
        if target in ("none", "syslog"):
            fields["path"] = None
        elif target == "auto":
            # A name holds neither "/" nor ":", so this is safe; where a dot in a name makes two
            # of them equal, the check for shared files says so.
            file = f"{fullname.replace(':', '.')}.{stream}.log"
            fields["path"] = os.path.join(self._log_dir, file)
        elif self._is_special(str(target)):
            if fields.get("maxbytes") and f"{key}_maxbytes" in entry.raw:
                text = f"has no effect: {target} is no regular file and is never rotated"
                self._report.warn(entry.at(f"{key}_maxbytes"), text)
            fields["maxbytes"] = 0
            if self._prefix:
                fields["prefix"] = f"{fullname} {'|' if stream == 'stdout' else '!'} "
        elif trouble := self._why_not(str(target)):
            self._report.complain(entry.at(key), trouble)
        if answers:
            for name in ("syslog", "events_enabled", "capture_maxbytes"):
                if values.get(f"{stream}_{name}"):
                    text = "has no effect: what an event listener writes there is its answers"
                    self._report.warn(entry.at(f"{stream}_{name}"), text)
            fields |= {"syslog": False, "answers": True}
        else:
            for name in ("events_enabled", "capture_maxbytes"):
                if f"{stream}_{name}" in values:
                    fields[name] = values[f"{stream}_{name}"]
            fields["strip_ansi"] = self._strip_ansi
        output = Output(**fields)
        return self._shared.setdefault(output, output)

    def claim(self, process: Program, entry: Entry) -> None:
        """Note which files a process writes; complain if another writes the same."""
        for stream, output in (("stdout", process.stdout), ("stderr", process.stderr)):
            if output.path is None or self._is_special(output.path):
                continue
            identity = self._identity(output.path)
            spot = entry.at(f"{stream}_logfile")
            if identity in self._taken:
                text = f"cannot write {output.path}: it is {self._taken[identity]}"
                self._report.complain(spot, text)
            rotated = output.backups if output.maxbytes else 0
            claim = _Claim(f'{stream} of "{process.fullname}"', spot, rotated, process)
            first = self._claims.setdefault(identity, claim)
            # Of a thousand processes of one program with one log, one is worth a complaint; of
            # processes with one name none: that name was complained about.
            if first is not claim and spot not in self._said and not _same_name(first, claim):
                self._said.add(spot)
                text = f"{first.owner} and {claim.owner} write to one file, {output.path}"
                self._report.complain(spot, text + _way_out(first.process, process))

    def check_rotated(self) -> None:
        """Complain of logs whose names another log's rotated files will take. Called at the end."""
        for path, claim in self._claims.items():
            match = re.fullmatch(r"(.+)\.([1-9][0-9]{0,8})", path, re.DOTALL)
            base = self._claims.get(match[1]) if match else None
            if match is None or base is None or int(match[2]) > base.backups:
                continue
            spot = claim.spot or base.spot
            if spot is not None:
                text = f"{claim.owner} writes to {path}, where {base.owner} keeps a rotated log"
                self._report.complain(spot, text)

    def _is_special(self, path: str) -> bool:
        if path not in self._special:
            self._special[path] = is_special(path)
        return self._special[path]

    def _identity(self, path: str) -> str:
        """Return one name for a file, also where its directory has several, or it is a link."""
        directory, name = os.path.split(path)
        if directory not in self._real:
            self._real[directory] = os.path.realpath(directory)
        real = f"{self._real[directory]}/{name}"
        return os.path.realpath(real) if os.path.islink(real) else real

    def _why_not(self, path: str) -> str:
        if path not in self._trouble:
            self._trouble[path] = no_log(path, self._made)
        return self._trouble[path]


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
