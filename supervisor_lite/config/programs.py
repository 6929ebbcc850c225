"""From one [program.NAME] or [eventlistener.NAME] table to its processes, resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from sys import intern
from typing import TYPE_CHECKING, Any

from supervisor_lite.config.advise import Finder, advise
from supervisor_lite.config.schema.eventlistener import LISTENER
from supervisor_lite.config.schema.key import Key, field_default
from supervisor_lite.config.schema.program import PROGRAM
from supervisor_lite.config.types.units import show_size
from supervisor_lite.files import is_missing
from supervisor_lite.model.process_attributes import ProcessAttributes
from supervisor_lite.model.program import Program, Stdin
from supervisor_lite.model.restart import Backoff, RestartLimit
from supervisor_lite.model.secrets import Credential, EnvFile
from supervisor_lite.model.sockets import ListenSocket

if TYPE_CHECKING:
    from supervisor_lite.config.expand import Names
    from supervisor_lite.config.outputs import Outputs
    from supervisor_lite.config.read import Entry, Reader, Values
    from supervisor_lite.config.source import Location
    from supervisor_lite.model.settings import DaemonSettings

_LISTENER_KEYS = [key for key in LISTENER.keys if key.name in PROGRAM.by_name()]
_PRIORITY = [PROGRAM.by_name()["priority"]]

_COMPOSED = {"process_name", "killasgroup", "environment", "backoff", "restart_limit"}
"""Keys whose value is not simply that of their field; `_process` says what is."""

_PLAIN_FIELDS = [
    key.name for key in PROGRAM.keys if key.of is Program and key.name not in _COMPOSED
]
_ATTRIBUTES = [key.name for key in PROGRAM.keys if key.of is ProcessAttributes]
_BACKOFF_PARTS = [(key.name, key.field) for key in PROGRAM.keys if key.of is Backoff]
_PAIRS = [(key.name, key.only_with) for key in PROGRAM.keys if key.only_with]


class Programs:
    """Resolves programs; equal parts of several processes are one object."""

    def __init__(
        self,
        settings: DaemonSettings,
        reader: Reader,
        names: Names,
        outputs: Outputs,
        find: Finder | None = None,
    ) -> None:
        """`find` tells what would keep a process from being started."""
        self._settings = settings
        self._find = find
        self._reader = reader
        self._diagnostics = reader.diagnostics
        self._names = names
        self._outputs = outputs
        self._owner_of_address: dict[str, str] = {}
        """By address: the program that listens there."""
        self._environments: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
        self._attributes: dict[ProcessAttributes, ProcessAttributes] = {}
        self._advised: set[Entry] = set()
        self._missing: dict[str, bool] = {}
        """Which files with secrets are missing, by path."""

    def names(self, program: str, entry: Entry, group: str) -> Names:
        """Return what values of a program may refer to."""
        values = {"here": entry.here, "program_name": program, "group_name": group}
        return self._names.plus(values)

    def priority(self, program: str, entry: Entry, *, listener: bool = False) -> int:
        """Return the priority of a program: that of the group of its own, also if it is empty."""
        values = self._reader.read(entry, _PRIORITY, self.names(program, entry, program))
        default = -1 if listener else field_default(Program, "priority")
        priority = values.get("priority", default)
        assert isinstance(priority, int)
        return priority

    def processes(
        self, program: str, entry: Entry, group: str, *, listener: bool = False
    ) -> Iterator[Program]:
        """Yield the processes of one program in one group."""
        names = self.names(program, entry, group)
        fixed: list[Key] = []
        varying: list[Key] = []
        for key in _LISTENER_KEYS if listener else PROGRAM.keys:
            if key.name in entry.raw:
                varies = key.per_process and _has_percent(entry.raw[key.name])
                (varying if varies else fixed).append(key)
        values = self._reader.read(entry, fixed, names)
        numprocs, first = values.get("numprocs", 1), values.get("numprocs_start", 0)
        assert isinstance(numprocs, int)
        assert isinstance(first, int)
        self._check(entry, values, numprocs)
        if entry not in self._advised:  # a program may be in several groups
            self._advised.add(entry)
            advise(entry, values, self._diagnostics)
        for number in range(first, first + numprocs):
            own: Values = {}
            if varying:
                each = names.plus({"process_num": number, "numprocs": numprocs})
                own = self._varying(entry, varying, values, each)
            name = own.get("process_name", values.get("process_name", program))
            if "process_name" in entry.raw and "process_name" not in {**values, **own}:
                # That was reported; stay unique, so that nothing else is said because of it.
                name = f"{program}:{number}"
            identity = {"name": name, "group": group, "program": program, "listener": listener}
            yield self._process(identity, entry, {**values, **own})

    def _varying(self, entry: Entry, keys: list[Key], fixed: Values, names: Names) -> Values:
        """Return what differs from process to process; its environment comes first."""
        own = self._reader.read(entry, [k for k in keys if k.name == "environment"], names)
        variables = own.get("environment", fixed.get("environment"))
        if variables is None and isinstance(raw := entry.raw.get("environment"), dict):
            # That was reported; do not also report that its variables are missing.
            variables = {key: str(value) for key, value in raw.items()}
        assert variables is None or isinstance(variables, dict)
        names = names.plus({}, variables)
        rest = [key for key in keys if key.name != "environment"]
        return {**own, **self._reader.read(entry, rest, names)}

    def _check(self, entry: Entry, values: Values, numprocs: int) -> None:
        """Report keys that contradict each other."""
        if values.get("stopasgroup") and values.get("killasgroup") is False:
            text = "cannot be false with stopasgroup = true: the group would be asked, not killed"
            self._diagnostics.error(entry.at("killasgroup"), text)
        if numprocs > 1 and not is_numbered(entry):
            key = "process_name" if "process_name" in entry.raw else "numprocs"
            text = 'process_name = "%(program_name)s_%(process_num)02d"'
            text = f"{numprocs} processes need names of their own, for example {text}"
            self._diagnostics.error(entry.at(key), text)
        if values.get("stdin") is Stdin.SOCKET:
            sockets = entry.raw.get("sockets")
            if not isinstance(sockets, list) or len(sockets) != 1:
                text = 'cannot be "socket" unless sockets has exactly one'
                self._diagnostics.error(entry.at("stdin"), text)
        high, limit = values.get("memory_high"), values.get("memory_max")
        if isinstance(high, int) and isinstance(limit, int) and high > limit:
            text = f"{show_size(high)} is above memory_max, {show_size(limit)}: it is never reached"
            self._diagnostics.error(entry.at("memory_high"), text)
        for key, other in _PAIRS:
            if key in values and other not in entry.raw:
                self._diagnostics.warn(entry.at(key), f"has no effect without {other}")

    def _process(self, identity: dict[str, Any], entry: Entry, values: Values) -> Program:
        """Return one process; `identity` are the fields that say which it is."""
        name, group, program = (intern(identity[key]) for key in ("name", "group", "program"))
        fullname = name if name == group else f"{group}:{name}"
        # What is not set keeps the default of its field, and shares it with all others.
        fields: dict[str, Any] = {key: values[key] for key in _PLAIN_FIELDS if key in values}
        fields.setdefault("command", ("?",))
        fields["killasgroup"] = bool(values.get("killasgroup", values.get("stopasgroup", False)))
        fields["environment"] = self._environment(values.get("environment"))
        fields |= _restarts(values)
        attributes: dict[str, Any] = {key: values[key] for key in _ATTRIBUTES if key in values}
        if attributes and (found := ProcessAttributes(**attributes)) != ProcessAttributes():
            fields["placement"] = self._attributes.setdefault(found, found)
        self._check_files(values, entry)
        self._claim_sockets(program, fields.get("sockets", ()), entry)
        for stream in ("stdout", "stderr"):
            answers = identity["listener"] and stream == "stdout"
            fields[stream] = self._outputs.resolve(stream, values, fullname, entry, answers=answers)
        fields |= identity | {"name": name, "group": group, "program": program}
        process = Program(**fields)
        self._outputs.claim(process, entry)
        if self._find is not None and "command" in values:
            for key, about in self._find(process):
                self._diagnostics.advise(entry.at(key), about)
        return process

    def _check_files(self, values: Values, entry: Entry) -> None:
        """Warn of files with secrets that are missing; they may be made before a start."""
        files = values.get("env_file", ())
        assert isinstance(files, tuple)
        for index, file in enumerate(files):
            assert isinstance(file, EnvFile)
            if not file.optional:
                self._check_file(file.path, entry.at("env_file") / index)
        credentials = values.get("credentials", ())
        assert isinstance(credentials, tuple)
        for credential in credentials:
            assert isinstance(credential, Credential)
            self._check_file(credential.path, entry.at("credentials") / credential.name)

    def _check_file(self, path: str, location: Location) -> None:
        if path not in self._missing:
            self._missing[path] = is_missing(path)
        if self._missing[path]:
            text = f"there is no file {path}: starts fail as long as it is missing"
            self._diagnostics.warn(location, text)

    def _claim_sockets(self, program: str, sockets: tuple[ListenSocket, ...], entry: Entry) -> None:
        """Report two programs that listen at one address; processes of one may share it."""
        for socket in sockets:
            first = self._owner_of_address.setdefault(socket.listen, program)
            if first != program:
                text = f'has {socket.listen}, where "{first}" listens already'
                self._diagnostics.error(entry.at("sockets"), text)
            elif socket.listen == f"unix://{self._settings.socket}":
                text = "has the control socket of the daemon"
                self._diagnostics.error(entry.at("sockets"), text)

    def _environment(self, own: object) -> Mapping[str, str]:
        """Return the merged environment of a process; equal ones are one object."""
        common = self._settings.environment
        if not own:
            return common
        assert isinstance(own, dict)
        merged = {**common, **own}
        return self._environments.setdefault(tuple(sorted(merged.items())), merged)


def is_numbered(entry: Entry) -> bool:
    """Tell whether the processes of a program have names of their own."""
    return "%(process_num)" in str(entry.raw.get("process_name", ""))


def _has_percent(raw: object) -> bool:
    """Tell whether a raw value holds a percent sign."""
    if isinstance(raw, str):
        return "%" in raw
    if isinstance(raw, dict):
        return any(map(_has_percent, raw.values()))
    return isinstance(raw, list) and any(map(_has_percent, raw))


def _restarts(values: Values) -> dict[str, Any]:
    """Return the fields about restarts that several keys make up."""
    fields: dict[str, Any] = {}
    parts: dict[str, Any] = {part: values[key] for key, part in _BACKOFF_PARTS if key in values}
    if parts or "backoff" in values:
        backoff = values.get("backoff", Backoff())
        assert isinstance(backoff, Backoff)
        fields["backoff"] = backoff._replace(**parts)
    limit = values.get("restart_limit")
    if isinstance(limit, tuple):
        action = values.get("restart_limit_action")
        assert action is None or isinstance(action, float)
        fields["restart_limit"] = RestartLimit(restarts=limit[0], window=limit[1], cooldown=action)
    return fields
