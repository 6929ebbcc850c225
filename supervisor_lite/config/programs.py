"""From [program.NAME] and [group.NAME] tables to the plan: every process, resolved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from sys import intern
from typing import Any

from supervisor_lite.config import kinds, placing
from supervisor_lite.config.expand import Names
from supervisor_lite.config.outputs import Outputs
from supervisor_lite.config.paths import is_missing
from supervisor_lite.config.read import Entry, Reader, Values, absolute
from supervisor_lite.config.schema import GROUP, LISTENER, PROGRAM, Key, field_default
from supervisor_lite.config.source import Report, Spot
from supervisor_lite.config.values import show_size
from supervisor_lite.config.wording import BadValueError, describe, dotted
from supervisor_lite.model.plan import Group, Plan
from supervisor_lite.model.process_attributes import Placement
from supervisor_lite.model.program import Program, Stdin
from supervisor_lite.model.restart import Backoff, RestartLimit
from supervisor_lite.model.secrets import Credential, EnvFile
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.model.sockets import ListenSocket
from supervisor_lite.text import suggest

_POOL_KEYS = [key for key in LISTENER.keys if key.name not in PROGRAM.by_name()]
_LISTENER_KEYS = [key for key in LISTENER.keys if key not in _POOL_KEYS]

_PRIORITY = next(key for key in PROGRAM.keys if key.name == "priority")

_COMPOSED = {
    "process_name", "killasgroup", "environment", "env_file", "serverurl", "backoff",
    "restart_limit",
}  # fmt: skip
"""Keys whose value is not simply that of their field; `_process` says what is."""

_PLAIN_FIELDS = [
    key.name for key in PROGRAM.keys if key.of is Program and key.name not in _COMPOSED
]
_ATTRIBUTES = [key.name for key in PROGRAM.keys if key.of is Placement]
_PAIRS = [(key.name, key.only_with) for key in PROGRAM.keys if key.only_with]


def resolve_plan(
    programs: Mapping[str, Entry],
    groups: Mapping[str, Entry],
    settings: DaemonSettings,
    reader: Reader,
    report: Report,
    names: Names,
    *,
    complete: bool,
    listeners: Mapping[str, Entry],
    files: Iterable[str],
) -> Plan:
    """Return the plan. Not `complete`: a file is missing, and perhaps programs with it.

    `files` are the absolute paths of the configuration.
    """
    outputs = Outputs(settings, report, files)
    planner = _Planner(programs, groups, listeners, settings, reader, report, names, outputs)
    return planner.plan(complete)


class _Planner:
    """The work of `resolve_plan`."""

    def __init__(
        self,
        programs: Mapping[str, Entry],
        groups: Mapping[str, Entry],
        listeners: Mapping[str, Entry],
        settings: DaemonSettings,
        reader: Reader,
        report: Report,
        names: Names,
        outputs: Outputs,
    ) -> None:
        self._programs = programs
        self._listeners = listeners
        self._defined = {**listeners, **programs}
        self._listening: dict[str, str] = {}
        """Who listens where: program by address."""
        self._groups = groups
        self._settings = settings
        self._reader = reader
        self._report = report
        self._names = names
        self._outputs = outputs
        self._environments: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
        self._placements: dict[Placement, Placement] = {}
        self._present: dict[str, bool] = {}
        """Which files with secrets there are, by path."""

    def plan(self, complete: bool) -> Plan:
        everything = (self._programs, self._groups, self._listeners)
        for name, entry in (item for table in everything for item in table.items()):
            self._reader.value(kinds.NAME, name.replace("%", "%%"), entry.spot, self._names)
            if name == "all":
                text = 'slctl takes "all" for every process, so this one cannot be named alone'
                self._report.warn(entry.spot, text)
        groups: dict[str, Group] = {}
        grouped: set[str] = set()
        for name, entry in self._groups.items():
            groups[name] = self._group(name, entry, grouped, complete)
        for name, entry in self._programs.items():
            if name not in grouped and name not in groups:
                processes = tuple(self._processes(name, entry, name))
                priority = self._priority(name, entry)
                groups[name] = Group(name=name, priority=priority, processes=processes)
                self._check_names({name: processes})
        for name, entry in self._listeners.items():
            if name in groups:
                other = self._groups.get(name) or self._programs[name]
                text = f"has the name of {dotted(other.spot.path)} ({other.spot})"
                self._report.complain(entry.spot, text)
            else:
                groups[name] = self._pool(name, entry)
        self._outputs.check_rotated()
        return Plan(groups=groups)

    def _priority(self, name: str, entry: Entry) -> int:
        """Return the priority of a program: that of the group of its own, also if it is empty."""
        names = self._program_names(name, entry, name)
        default = field_default(Program, "priority") if entry in self._programs.values() else -1
        priority = self._reader.read(entry, [_PRIORITY], names).get("priority", default)
        assert isinstance(priority, int)
        return priority

    def _pool(self, name: str, entry: Entry) -> Group:
        """Return the group that the processes of an event listener are."""
        values: dict[str, Any] = self._reader.read(
            entry, _POOL_KEYS, self._program_names(name, entry, name)
        )
        values.pop("result_handler", None)
        if entry.raw.get("redirect_stderr") is True:
            text = "cannot be true: what a listener writes to stdout is its answers"
            self._report.complain(entry.at("redirect_stderr"), text)
        processes = tuple(self._processes(name, entry, name))
        self._check_names({name: processes})
        priority = self._priority(name, entry)
        return Group(name=intern(name), priority=priority, processes=processes, **values)

    def _group(self, name: str, entry: Entry, grouped: set[str], complete: bool) -> Group:
        names = self._names.plus({"here": entry.spot.source.here, "group_name": name})
        values = self._reader.read(entry, GROUP.keys, names)
        members = values.pop("programs", ())
        assert isinstance(members, tuple)
        processes: dict[str, tuple[Program, ...]] = {}
        for index, member in enumerate(members):
            program = self._programs.get(member)
            spot = entry.spot / "programs" / index
            if member in processes:
                self._report.complain(spot, f'lists "{member}" twice')
            elif program is not None:
                grouped.add(member)
                processes[member] = tuple(self._processes(member, program, name))
            elif member in self._listeners:
                text = f'"{member}" is an event listener, which is a group of its own'
                self._report.complain(spot, text)
            elif complete:
                text = f'there is no program "{member}"{suggest(member, self._programs)}'
                self._report.complain(spot, text)
        if name in self._programs and name not in members:
            other = self._programs[name].spot
            text = f"has the name of {dotted(other.path)} ({other}), which is not in this group"
            self._report.complain(entry.spot, text)
        if "programs" not in entry.raw:
            self._report.warn(entry.spot, "has no programs")
        self._check_names(processes)
        fields: dict[str, Any] = values
        everyone = tuple(process for some in processes.values() for process in some)
        return Group(name=intern(name), processes=everyone, **fields)

    def _check_names(self, processes: Mapping[str, tuple[Program, ...]]) -> None:
        """Complain of two processes with one name in one group."""
        seen: dict[str, Program] = {}
        for process in (process for some in processes.values() for process in some):
            first = seen.setdefault(process.name, process)
            entry = self._defined[process.program]
            if first is process or (first.program == process.program and not _numbered(entry)):
                continue  # processes without a number were complained about already
            text = f'the name "{process.name}" is taken in group "{process.group}" by a process of '
            there = self._defined[first.program].at("process_name")
            self._report.complain(
                entry.at("process_name"), f"{text}{dotted(('program', first.program))} ({there})"
            )

    def _program_names(self, program: str, entry: Entry, group: str) -> Names:
        here = entry.spot.source.here
        return self._names.plus({"here": here, "program_name": program, "group_name": group})

    def _processes(self, program: str, entry: Entry, group: str) -> Iterator[Program]:
        """Yield the processes of one program in one group."""
        names = self._program_names(program, entry, group)
        fixed: list[Key] = []
        varying: list[Key] = []
        for key in PROGRAM.keys if program in self._programs else _LISTENER_KEYS:
            if key.name in entry.raw:
                varies = key.per_process and _expands(entry.raw[key.name])
                (varying if varies else fixed).append(key)
        values = self._reader.read(entry, fixed, names)
        numprocs, first = values.get("numprocs", 1), values.get("numprocs_start", 0)
        assert isinstance(numprocs, int)
        assert isinstance(first, int)
        self._check(entry, values, numprocs)
        for number in range(first, first + numprocs):
            own: Values = {}
            if varying:
                each = names.plus({"process_num": number, "numprocs": numprocs})
                own = self._varying(entry, varying, values, each)
            yield self._process(program, group, entry, {**values, **own}, number)

    def _varying(self, entry: Entry, keys: list[Key], fixed: Values, names: Names) -> Values:
        """Return what differs from process to process; its environment comes first."""
        own = self._reader.read(entry, [k for k in keys if k.name == "environment"], names)
        variables = own.get("environment", fixed.get("environment"))
        if variables is None and isinstance(raw := entry.raw.get("environment"), dict):
            # It was complained about; do not also complain that its variables are missing.
            variables = {key: str(value) for key, value in raw.items()}
        assert variables is None or isinstance(variables, dict)
        names = names.plus({}, variables)
        rest = [key for key in keys if key.name != "environment"]
        return {**own, **self._reader.read(entry, rest, names)}

    def _check(self, entry: Entry, values: Values, numprocs: int) -> None:
        """Complain of keys that contradict each other."""
        if values.get("stopasgroup") and values.get("killasgroup") is False:
            text = "cannot be false with stopasgroup = true: the group would be asked, not killed"
            self._report.complain(entry.at("killasgroup"), text)
        if numprocs > 1 and not _numbered(entry):
            key = "process_name" if "process_name" in entry.raw else "numprocs"
            text = 'process_name = "%(program_name)s_%(process_num)02d"'
            text = f"{numprocs} processes need names of their own, for example {text}"
            self._report.complain(entry.at(key), text)
        if values.get("stdin") is Stdin.SOCKET and len(_listed(entry.raw.get("sockets"))) != 1:
            text = 'cannot be "socket" unless sockets has exactly one'
            self._report.complain(entry.at("stdin"), text)
        high, most = values.get("memory_high"), values.get("memory_max")
        if isinstance(high, int) and isinstance(most, int) and high > most:
            text = f"{show_size(high)} is above memory_max, {show_size(most)}: it is never reached"
            self._report.complain(entry.at("memory_high"), text)
        for key, other in _PAIRS:
            if key in values and other not in entry.raw:
                self._report.warn(entry.at(key), f"has no effect without {other}")

    def _process(
        self, program: str, group: str, entry: Entry, values: Values, number: int
    ) -> Program:
        name = values.get("process_name", program)
        if "process_name" not in values and "process_name" in entry.raw:
            # Complained about; stay unique, so that nothing else is said because of it.
            name = f"{program}:{number}"
        assert isinstance(name, str)
        # What is not set keeps the default of the dataclass, and shares it with all others.
        fields: dict[str, Any] = {key: values[key] for key in _PLAIN_FIELDS if key in values}
        fields.setdefault("command", ("?",))
        fields["killasgroup"] = bool(values.get("killasgroup", values.get("stopasgroup", False)))
        fields["environment"] = self._environment(values.get("environment"))
        fields.update(_restarts(values))
        fields.update(self._placed(values, entry))
        serverurl = values.get("serverurl")
        if serverurl is not None and str(serverurl).lower() != "auto":
            fields["serverurl"] = serverurl
        fullname = name if name == group else f"{group}:{name}"
        fields["listener"] = listener = program not in self._programs
        self._claim_sockets(program, values.get("sockets", ()), entry)
        for stream in ("stdout", "stderr"):
            answers = listener and stream == "stdout"
            fields[stream] = self._outputs.resolve(stream, values, fullname, entry, answers=answers)
        process = Program(name=intern(name), group=intern(group), program=intern(program), **fields)
        self._outputs.claim(process, entry)
        return process

    def _placed(self, values: Values, entry: Entry) -> dict[str, Any]:
        """Return the fields about limits and files with variables."""
        fields: dict[str, Any] = {}
        limits: dict[str, Any] = {key: values[key] for key in _ATTRIBUTES if key in values}
        if limits and (placement := Placement(**limits)) != Placement():
            fields["placement"] = self._placements.setdefault(placement, placement)
        files = values.get("env_file", ())
        assert isinstance(files, tuple)
        found = []
        for index, path in enumerate(files):
            try:
                place = absolute(path.removeprefix("-"), entry.spot.source.here)
                found.append(file := placing.resolved(path, place))
            except BadValueError as error:
                text = f"expected a path, got {describe(path)}{error.hint}"
                self._report.complain(entry.at("env_file"), text)
            else:
                self._look_for(file, entry.at("env_file") / index)
        if found:
            fields["env_file"] = tuple(found)
        secrets = values.get("credentials", ())
        assert isinstance(secrets, tuple)
        for secret in secrets:
            self._look_for(secret, entry.at("credentials") / secret.name)
        return fields

    def _look_for(self, file: EnvFile | Credential, spot: Spot) -> None:
        """Warn of a file that is missing; it may be made before the program is started."""
        if isinstance(file, EnvFile) and file.optional:
            return
        if file.path not in self._present:
            self._present[file.path] = not is_missing(file.path)
        if not self._present[file.path]:
            text = f"there is no file {file.path}: starts fail as long as it is missing"
            self._report.warn(spot, text)

    def _claim_sockets(self, program: str, sockets: object, entry: Entry) -> None:
        """Complain of two programs that listen in one place; processes of one may share it."""
        assert isinstance(sockets, tuple)
        for each in sockets:
            assert isinstance(each, ListenSocket)
            first = self._listening.setdefault(each.listen, program)
            if first != program:
                text = f'has {each.listen}, where "{first}" listens already'
                self._report.complain(entry.at("sockets"), text)
            elif each.listen == f"unix://{self._settings.socket}":
                self._report.complain(entry.at("sockets"), "has the control socket of the daemon")

    def _environment(self, own: object) -> Mapping[str, str]:
        """Return the merged environment of a process; equal ones are one object."""
        common = self._settings.environment
        if not own:
            return common
        assert isinstance(own, dict)
        merged = {**common, **own}
        return self._environments.setdefault(tuple(sorted(merged.items())), merged)


def _listed(raw: object) -> list[object]:
    return raw if isinstance(raw, list) else []


def _expands(raw: object) -> bool:
    """Tell whether a raw value holds a percent sign."""
    if isinstance(raw, str):
        return "%" in raw
    if isinstance(raw, dict):
        return any(map(_expands, raw.values()))
    return isinstance(raw, list) and any(map(_expands, raw))


def _numbered(entry: Entry) -> bool:
    """Tell whether the processes of a program have names of their own."""
    return "%(process_num)" in str(entry.raw.get("process_name", ""))


def _restarts(values: Values) -> dict[str, Any]:
    """Return the fields about restarts that several keys make up."""
    fields: dict[str, Any] = {}
    changes: dict[str, Any] = {
        field: values[key]
        for key, field in (("backoff_max", "max"), ("backoff_jitter", "jitter"))
        if key in values
    }
    if changes or "backoff" in values:
        backoff = values.get("backoff", Backoff())
        assert isinstance(backoff, Backoff)
        fields["backoff"] = backoff._replace(**changes)
    limit = values.get("restart_limit")
    if isinstance(limit, tuple):
        action = values.get("restart_limit_action")
        assert action is None or isinstance(action, float)
        fields["restart_limit"] = RestartLimit(restarts=limit[0], window=limit[1], cooldown=action)
    return fields
