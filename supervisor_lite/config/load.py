"""Find, read, include, merge and check the configuration; report everything at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from supervisor_lite.config import own_gateway
from supervisor_lite.config.advise import LookAhead
from supervisor_lite.config.diagnostics import Diagnostics
from supervisor_lite.config.expand import Names
from supervisor_lite.config.find import find
from supervisor_lite.config.freshness import matching, stamp
from supervisor_lite.config.groups import resolve_plan
from supervisor_lite.config.paths import can_list, is_writable_by_others, unread
from supervisor_lite.config.read import Entry, Reader, Tables, unknown_table
from supervisor_lite.config.schema import TABLES
from supervisor_lite.config.schema.daemon import DAEMON
from supervisor_lite.config.schema.key import Shape
from supervisor_lite.config.settings import resolve_gateway, resolve_settings
from supervisor_lite.config.source import Location, Source, parse
from supervisor_lite.config.types.base import BAD
from supervisor_lite.config.wording import describe
from supervisor_lite.errors import ConfigError
from supervisor_lite.model.plan import Configuration
from supervisor_lite.model.settings import GatewaySettings
from supervisor_lite.model.sources import Include, Sources, Stamp
from supervisor_lite.protocol import locate
from supervisor_lite.protocol.directories import MAIN, main_file
from supervisor_lite.protocol.home import NoHomeError, expand_home
from supervisor_lite.text import suggest

_INCLUDE = next(key for key in DAEMON.keys if key.name == "include")


def load(
    path: str | None = None,
    environ: Mapping[str, str] | None = None,
    look: LookAhead | None = None,
) -> Configuration:
    """Read the configuration from a file, from a directory, or from the usual places (None).

    A directory that has a supervisor.toml is read from that; of another one every *.toml is.

    `environ` is what %(ENV_X)s refers to; the environment of this process unless given. `look`
    finds what would keep a program from being started, of which is warned then.
    Raises ConfigError with everything that is wrong in every file.
    """
    named = path or find()
    path = main_file(named)
    loading = _Loading(os.environ if environ is None else environ)
    if os.path.isdir(path):
        loading.read_directory(path)
    else:
        loading.read_file(path)
        if path != named:
            loading.warn_of_unread(named)
    return loading.resolve(locate.absolute_config(path), look)


def load_gateway(path: str | None = None) -> GatewaySettings | None:
    """Read the [gateway] table alone; None if there is none.

    The gateway's user may not be allowed to read, or to use, what the programs need: only a
    mistake in this table, or a main file that is no TOML, is a ConfigError.
    """
    return _Loading(os.environ).gateway(main_file(path or find()))


class _Loading:
    """One reading of the configuration."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._diagnostics = Diagnostics()
        self._reader = Reader(self._diagnostics)
        self._names = Names({"host_node_name": os.uname().nodename}, environ)
        self._tables = Tables()
        self._keys = {name: table.by_name() for name, table in TABLES.items()}
        self._files: dict[str, Stamp | None] = {}
        """All files by absolute path, in the order of reading."""
        self._includes: list[Include] = []

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
            self._diagnostics.error_in_file(0, directory, f"cannot read it: {error.strerror}")
            return
        if not labels:
            self._diagnostics.error_in_file(
                0, directory, "there is no *.toml file in this directory"
            )
        names = tuple(os.path.basename(label) for label in labels)
        self._includes.append(Include(os.path.abspath(directory), "*.toml", names))
        sources = [source for label in labels if (source := self._read(label))]
        for source in sources:
            self._collect(source, main=None)
        if (entry := self._tables.single.get("daemon")) is not None and "include" in entry.raw:
            self._include(directory, directory)

    def warn_of_unread(self, directory: str) -> None:
        """Warn of what lies beside the main file of a directory and is not included."""
        for label in unread(directory, self._files):
            text = f"is not read: {MAIN} beside it is the main file, and includes it nowhere"
            self._diagnostics.warn_about_path(label, text)

    def resolve(self, config: str | None, look: LookAhead | None) -> Configuration:
        """Turn everything that was read into a Configuration, or raise ConfigError.

        `config` is the absolute path of all of it; `look` as in `load`.
        """
        tables, reader, names = self._tables, self._reader, self._names
        settings = resolve_settings(tables, reader, names, config)
        with_environment = names.plus({}, settings.environment)
        finder = look(settings) if look is not None else None
        gateway = resolve_gateway(tables.single.get("gateway"), reader, names)
        if gateway is not None and config is not None:
            own_gateway.define(tables, settings, gateway, config, self._diagnostics)
        plan = resolve_plan(tables, settings, reader, with_environment, self._files, finder)
        daemon = tables.single.get("daemon")
        self._check_exit_when(daemon, settings.exit_when)
        if errors := self._diagnostics.errors():
            raise ConfigError(errors)
        if gateway is not None:
            plan = own_gateway.with_marks(plan, gateway, own=tables.own_gateway)
            settings = own_gateway.open_socket(tables, settings, gateway, self._diagnostics)
        main = daemon.location.source.path if daemon is not None else ""
        # The main file first; without [daemon] that is the first that was read.
        files = sorted(self._files, key=lambda path: path != main)
        return Configuration(
            settings=settings,
            plan=plan,
            gateway=gateway,
            files=tuple(files),
            warnings=self._diagnostics.warnings(),
            sources=Sources(self._files, tuple(self._includes), tables.places()),
        )

    def _check_exit_when(self, daemon: Entry | None, condition: str | None) -> None:
        """Report an end that waits for a program that does not exist."""
        kind, _, name = (condition or "").partition(":")
        programs = self._tables.named.get("program", {})
        complete = self._tables.complete
        if daemon is not None and kind == "program" and name not in programs and complete:
            text = f'there is no program "{name}"{suggest(name, programs)}'
            self._diagnostics.error(daemon.at("exit_when"), text)

    def gateway(self, path: str) -> GatewaySettings | None:
        """Read [gateway] and nothing else, from a file or the files of a directory."""
        # Of the whole, only what keeps us from finding the table counts.
        diagnostics = Diagnostics()
        labels = locate.toml_files(path) if os.path.isdir(path) else [path]
        for number, label in enumerate(labels):
            source = parse(label, os.path.abspath(label), number, diagnostics)
            if source is not None and "gateway" in source.data:
                raw, location = source.data["gateway"], Location(source, ("gateway",))
                entry = self._reader.entry(TABLES["gateway"], self._keys["gateway"], raw, location)
                settings = resolve_gateway(entry, self._reader, self._names)
                if errors := self._diagnostics.errors():
                    raise ConfigError(errors)
                return settings
        if errors := diagnostics.errors():
            raise ConfigError(errors)
        return None

    def _read(self, label: str) -> Source | None:
        """Read one file unless it was read before; report it and return None if that fails."""
        path = os.path.abspath(label)
        if path in self._files:
            return None
        self._files[path] = stamp(path)
        if os.geteuid() == 0:
            self._check_writers(path)
        source = parse(label, path, len(self._files), self._diagnostics)
        self._tables.complete = self._tables.complete and source is not None
        return source

    def _check_writers(self, path: str) -> None:
        """Warn where somebody else could make root run their program."""
        for each in (path, os.path.dirname(path)):
            if is_writable_by_others(each):
                self._diagnostics.warn_about_path(
                    each, "others than root may write it, and so become root"
                )

    def _include(self, directory: str, main: str) -> None:
        """Read the files that the main one includes; `directory` as the operator wrote it."""
        entry = self._tables.single.get("daemon")
        patterns: object = _INCLUDE.default
        if entry is not None and "include" in entry.raw:
            names = self._names.plus({"here": entry.here})
            raw = entry.raw["include"]
            patterns = self._reader.value(_INCLUDE.value_type, raw, entry.at("include"), names)
            if patterns is BAD:
                self._tables.complete = False
                return
        assert isinstance(patterns, list | tuple)
        for index, pattern in enumerate(patterns):
            location = None
            if entry is not None and "include" in entry.raw:
                location = entry.at("include") / index
            for label in self._matching(directory, str(pattern), location):
                source = self._read(label)
                if source is not None:
                    self._collect(source, main)

    def _matching(self, directory: str, pattern: str, location: Location | None) -> list[str]:
        """Return the files that a pattern means; `location` is None for the default pattern."""
        try:
            pattern = expand_home(pattern)
        except NoHomeError as error:
            if location is not None:
                self._diagnostics.error(location, str(error))
            self._tables.complete = False
            return []
        if not re.search(r"[*?\[]", pattern):
            label = os.path.join(directory, pattern)
            try:
                os.lstat(label)
            except OSError as error:
                if location is not None:
                    self._diagnostics.error(location, f"cannot read {label}: {error.strerror}")
                self._tables.complete = False
                return []
            return [label]
        found = matching(directory, pattern)
        self._includes.append(Include(os.path.abspath(directory), pattern, tuple(found)))
        if not found:
            # A directory that may not be read looks empty.
            fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
            searched = os.path.join(directory, os.path.dirname(fixed))
            if os.path.isdir(searched) and not can_list(searched):
                text = "cannot read it: permission denied"
                self._diagnostics.error_in_file(len(self._files) + 1, searched, text)
                self._tables.complete = False
            elif location is not None:
                self._diagnostics.warn(location, f'"{pattern}" matches no file')
        return [os.path.join(directory, name) for name in found]

    def _collect(self, source: Source, main: str | None) -> None:
        """Sort the tables of one file; `main` is the file that included it, if one did."""
        for name, value in source.data.items():
            location = Location(source, (name,))
            for found, table, raw in self._tables_in(name, value, location):
                entry = self._reader.entry(TABLES[table], self._keys[table], raw, found)
                self._keep(table, entry, main)

    def _tables_in(
        self, name: str, value: object, location: Location
    ) -> Iterator[tuple[Location, str, object]]:
        """Yield location, name and raw value of each table under one key of the root."""
        table = TABLES.get(name)
        if table is None:
            self._diagnostics.error(
                location,
                f"unknown table{unknown_table(name, value, self._keys[DAEMON.name], TABLES)}",
            )
        elif table.shape is Shape.ONE:
            yield location, name, value
        elif table.shape is Shape.LIST and isinstance(value, list):
            for index, item in enumerate(value):
                yield location / index, name, item
        elif table.shape is Shape.NAMED and isinstance(value, dict):
            for key, item in value.items():
                yield location / key, name, item
        else:
            header = table.shape.value.format(name)
            self._diagnostics.error(location, f"expected tables {header}, got {describe(value)}")

    def _keep(self, table: str, entry: Entry, main: str | None) -> None:
        """Remember a table, or report that it is not the first of its name."""
        tables, location = self._tables, entry.location
        shape = TABLES[table].shape
        if shape is Shape.LIST:
            tables.listed.setdefault(table, []).append(entry)
        elif shape is Shape.NAMED:
            name = str(location.path[-1])
            first = tables.named.setdefault(table, {}).setdefault(name, entry)
            if first is not entry:
                self._diagnostics.error(location, f"is defined twice, first at {first.location}")
        elif main is not None:
            self._diagnostics.error(location, f"belongs into the main file, {main}")
        elif (first := tables.single.setdefault(table, entry)) is not entry:
            text = f"is defined twice, first at {first.location}; one file may have it"
            self._diagnostics.error(location, text)
