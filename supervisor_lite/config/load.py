"""Find, read, include, merge and check the configuration; complain of everything at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from supervisor_lite.config.expand import Names
from supervisor_lite.config.paths import others_may_write
from supervisor_lite.config.programs import resolve_plan
from supervisor_lite.config.read import BAD, Entry, Reader
from supervisor_lite.config.schema import DAEMON, ELSEWHERE, TABLES, Shape
from supervisor_lite.config.settings import resolve_gateway, resolve_settings
from supervisor_lite.config.source import Report, Source, Spot, parse
from supervisor_lite.config.wording import describe
from supervisor_lite.errors import Complaint, ConfigError
from supervisor_lite.model.plan import Configuration
from supervisor_lite.model.settings import GatewaySettings
from supervisor_lite.protocol import locate
from supervisor_lite.text import suggest

_INCLUDE = next(key for key in DAEMON.keys if key.name == "include")


def load(path: str | None = None, environ: Mapping[str, str] | None = None) -> Configuration:
    """Read the configuration from a file, from a directory, or from the usual places (None).

    `environ` is what %(ENV_X)s refers to; the environment of this process unless given.
    Raises ConfigError with every complaint about every file.
    """
    path = path or locate.find_config()
    if path is None:
        raise ConfigError([_nothing_found()])
    loading = _Loading(os.environ if environ is None else environ)
    if os.path.isdir(path):
        loading.read_directory(path)
    else:
        loading.read_file(path)
    return loading.resolve()


def load_gateway(path: str | None = None) -> GatewaySettings | None:
    """Read the [gateway] table alone; None if there is none.

    The gateway's user may not be allowed to read, or to use, what the programs need: only a
    mistake in this table, or a main file that is no TOML, is a ConfigError.
    """
    path = path or locate.find_config()
    if path is None:
        raise ConfigError([_nothing_found()])
    return _Loading(os.environ).gateway(path)


def _nothing_found() -> Complaint:
    first, *others = locate.candidates()
    text = (
        f"there is no such file, nor {' nor '.join(others)}; name one with -c, or write it:\n"
        '  [program.web]\n  command = "python3 -m http.server 8000"'
    )
    return Complaint(first, 0, "", text)


@dataclass(slots=True, eq=False)
class _Tables:
    """All tables of all files; of two with one name, the first."""

    single: dict[str, Entry] = field(default_factory=dict)
    """"daemon" and "gateway"."""
    named: dict[str, dict[str, Entry]] = field(default_factory=dict)
    """"program" and "group" -> name -> table."""
    listed: dict[str, list[Entry]] = field(default_factory=dict)


class _Loading:
    """One reading of the configuration."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._report = Report()
        self._reader = Reader(self._report)
        self._names = Names({"host_node_name": os.uname().nodename}, environ)
        self._tables = _Tables()
        self._keys = {name: table.by_name() for name, table in TABLES.items()}
        self._files: dict[str, None] = {}
        """Absolute paths of all files, in the order of reading."""
        self._complete = True

    def read_file(self, label: str) -> None:
        """Read the main file and what it includes."""
        source = self._read(label)
        if source is not None:
            self._collect(source, main=None)
        elif not os.path.isfile(label):
            return
        self._include(os.path.dirname(label), label)

    def read_directory(self, directory: str) -> None:
        """Read every TOML file of a directory, and what they include if they say so."""
        try:
            labels = locate.toml_files(directory)
        except OSError as error:
            self._report.fail(0, directory, f"cannot read it: {error.strerror}")
            return
        if not labels:
            self._report.fail(0, directory, "there is no *.toml file in this directory")
        sources = [source for label in labels if (source := self._read(label))]
        for source in sources:
            self._collect(source, main=None)
        if (entry := self._tables.single.get("daemon")) is not None and "include" in entry.raw:
            self._include(directory, directory)

    def resolve(self) -> Configuration:
        """Turn everything that was read into a Configuration, or raise ConfigError."""
        tables = self._tables
        settings = resolve_settings(
            tables.single.get("daemon"),
            tables.listed.get("access", []),
            self._reader,
            self._report,
            self._names,
        )
        plan = resolve_plan(
            tables.named.get("program", {}),
            tables.named.get("group", {}),
            settings,
            self._reader,
            self._report,
            self._names.plus({}, settings.environment),
            complete=self._complete,
            listeners=tables.named.get("eventlistener", {}),
            files=self._files,
        )
        gateway = resolve_gateway(
            tables.single.get("gateway"), self._reader, self._report, self._names
        )
        daemon = tables.single.get("daemon")
        self._check_exit_when(daemon, settings.exit_when)
        if complaints := self._report.complaints():
            raise ConfigError(complaints)
        main = daemon.spot.source.path if daemon is not None else ""
        # The main file first; without [daemon] that is the first that was read.
        files = sorted(self._files, key=lambda path: path != main)
        return Configuration(
            settings=settings,
            plan=plan,
            gateway=gateway,
            files=tuple(files),
            warnings=self._report.warnings(),
        )

    def _check_exit_when(self, daemon: Entry | None, condition: str | None) -> None:
        """Complain of an end that waits for a program that does not exist."""
        kind, _, name = (condition or "").partition(":")
        programs = self._tables.named.get("program", {})
        if daemon is not None and kind == "program" and name not in programs and self._complete:
            text = f'there is no program "{name}"{suggest(name, programs)}'
            self._report.complain(daemon.at("exit_when"), text)

    def gateway(self, path: str) -> GatewaySettings | None:
        """Read [gateway] and nothing else, from a file or the files of a directory."""
        report = Report()  # of the whole, only what keeps us from finding the table counts
        labels = locate.toml_files(path) if os.path.isdir(path) else [path]
        for number, label in enumerate(labels):
            source = parse(label, os.path.abspath(label), number, report)
            if source is not None and "gateway" in source.data:
                raw, spot = source.data["gateway"], Spot(source, ("gateway",))
                entry = self._reader.entry(TABLES["gateway"], self._keys["gateway"], raw, spot)
                settings = resolve_gateway(entry, self._reader, self._report, self._names)
                if complaints := self._report.complaints():
                    raise ConfigError(complaints)
                return settings
        if complaints := report.complaints():
            raise ConfigError(complaints)
        return None

    def _read(self, label: str) -> Source | None:
        """Read one file unless it was read before; complain and return None if that fails."""
        path = os.path.abspath(label)
        if path in self._files:
            return None
        self._files[path] = None
        if os.geteuid() == 0:
            self._check_writers(path)
        source = parse(label, path, len(self._files), self._report)
        self._complete = self._complete and source is not None
        return source

    def _check_writers(self, path: str) -> None:
        """Warn where somebody else could make root run their program."""
        for place in (path, os.path.dirname(path)):
            if others_may_write(place):
                self._report.warn_about(place, "others than root may write it, and so become root")

    def _include(self, directory: str, main: str) -> None:
        """Read the files that the main one includes; `directory` as the operator wrote it."""
        entry = self._tables.single.get("daemon")
        patterns: object = _INCLUDE.default
        if entry is not None and "include" in entry.raw:
            names = self._names.plus({"here": entry.spot.source.here})
            raw = entry.raw["include"]
            patterns = self._reader.value(_INCLUDE.kind, raw, entry.at("include"), names)
            if patterns is BAD:
                self._complete = False
                return
        assert isinstance(patterns, list | tuple)
        for index, pattern in enumerate(patterns):
            spot = None
            if entry is not None and "include" in entry.raw:
                spot = entry.at("include") / index
            for label in self._matching(directory, str(pattern), spot):
                source = self._read(label)
                if source is not None:
                    self._collect(source, main)

    def _matching(self, directory: str, pattern: str, spot: Spot | None) -> list[str]:
        """Return the files that a pattern means; `spot` is None for the default pattern."""
        import glob

        pattern = os.path.expanduser(pattern)
        if not glob.has_magic(pattern):
            label = os.path.join(directory, pattern)
            try:
                os.lstat(label)
            except OSError as error:
                if spot is not None:
                    self._report.complain(spot, f"cannot read {label}: {error.strerror}")
                self._complete = False
                return []
            return [label]
        found = sorted(glob.glob(pattern, root_dir=directory or None, recursive=True))
        if not found:
            # A directory that may not be read looks empty.
            fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
            place = os.path.join(directory, os.path.dirname(fixed))
            if os.path.isdir(place) and not _may_list(place):
                text = "cannot read it: permission denied"
                self._report.fail(len(self._files) + 1, place, text)
                self._complete = False
            elif spot is not None:
                self._report.warn(spot, f'"{pattern}" matches no file')
        return [os.path.join(directory, name) for name in found]

    def _collect(self, source: Source, main: str | None) -> None:
        """Sort the tables of one file; `main` is the file that included it, if one did."""
        for name, value in source.data.items():
            spot = Spot(source, (name,))
            for found, table, raw in self._tables_in(name, value, spot):
                entry = self._reader.entry(TABLES[table], self._keys[table], raw, found)
                self._keep(table, entry, main)

    def _tables_in(
        self, name: str, value: object, spot: Spot
    ) -> Iterator[tuple[Spot, str, object]]:
        """Yield place, name and raw value of each table under one key of the root."""
        table = TABLES.get(name)
        if table is None:
            self._report.complain(spot, f"unknown table{self._about(name, value)}")
        elif table.shape is Shape.ONE:
            yield spot, name, value
        elif table.shape is Shape.LIST and isinstance(value, list):
            for index, item in enumerate(value):
                yield spot / index, name, item
        elif table.shape is Shape.NAMED and isinstance(value, dict):
            for key, item in value.items():
                yield spot / key, name, item
        else:
            header = table.shape.value.format(name)
            self._report.complain(spot, f"expected tables {header}, got {describe(value)}")

    def _about(self, name: str, value: object) -> str:
        """Say what an unknown key of the root may have meant."""
        if name in ELSEWHERE:
            return f": {ELSEWHERE[name]}"
        if not isinstance(value, dict | list) and name in self._keys[DAEMON.name]:
            return ": a key of [daemon], which must stand above it"
        return suggest(name, TABLES)

    def _keep(self, table: str, entry: Entry, main: str | None) -> None:
        """Remember a table, or complain that it is not the first of its name."""
        tables, spot = self._tables, entry.spot
        shape = TABLES[table].shape
        if shape is Shape.LIST:
            tables.listed.setdefault(table, []).append(entry)
        elif shape is Shape.NAMED:
            name = str(spot.path[-1])
            first = tables.named.setdefault(table, {}).setdefault(name, entry)
            if first is not entry:
                self._report.complain(spot, f"is defined twice, first at {first.spot}")
        elif main is not None:
            self._report.complain(spot, f"belongs into the main file, {main}")
        elif (first := tables.single.setdefault(table, entry)) is not entry:
            text = f"is defined twice, first at {first.spot}; one file may have it"
            self._report.complain(spot, text)


def _may_list(directory: str) -> bool:
    return os.access(directory, os.R_OK | os.X_OK, effective_ids=True)
