"""From raw TOML values to resolved ones, by the table of keys; reports all that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from supervisor_lite.config.expand import ExpansionError, Names, expand
from supervisor_lite.config.schema.key import Key, TableSchema
from supervisor_lite.config.types.base import BAD, ValueType
from supervisor_lite.config.wording import BadValueError, describe
from supervisor_lite.text import suggest

if TYPE_CHECKING:
    from supervisor_lite.config.diagnostics import Diagnostics
    from supervisor_lite.config.source import Location

Values = dict[str, object]
"""Resolved values by canonical key; what was not set, or is wrong, is absent."""


class Entry:
    """One table of a file, its keys known and under their canonical names."""

    __slots__ = ("location", "raw", "written")

    def __init__(
        self, location: Location, raw: Mapping[str, object], written: Mapping[str, str]
    ) -> None:
        """`written` has the name in the file by canonical name, where an alias was used."""
        self.location = location
        self.raw = raw
        self.written = written

    @property
    def here(self) -> str:
        """The directory of the file: `%(here)s`."""
        return self.location.source.here

    def at(self, key: str) -> Location:
        """Return the location of a key; of the table if the key is not set."""
        return self.location / self.written.get(key, key)


class Tables:
    """All tables of all files; of two with one name, the first."""

    def __init__(self) -> None:
        self.single: dict[str, Entry] = {}
        """[daemon] and [gateway], by name."""
        self.named: dict[str, dict[str, Entry]] = {}
        """[program.NAME] and its like: by name of the table, then by NAME."""
        self.listed: dict[str, list[Entry]] = {}
        """[[access]], by name."""
        self.complete = True
        """Every file could be read; if not, what is missing may stand in another."""
        self.own_gateway = False
        """Among the programs is one that no file has: the daemon's own gateway."""

    def places(self) -> dict[str, str]:
        """Return the file that defines each program and each event listener, by its name."""
        named = (self.named.get(table, {}) for table in ("eventlistener", "program"))
        return {name: entry.location.source.path for some in named for name, entry in some.items()}


class Context:
    """Where a value stands: what its type may ask for while it reads the value."""

    __slots__ = ("_location", "_names", "_reader")

    def __init__(self, reader: Reader, location: Location, names: Names) -> None:
        self._reader = reader
        self._location = location
        self._names = names

    def member(self, key: str | int, value_type: ValueType, raw: object) -> object:
        """Return an item of this list, or a value of this table; BAD if it is wrong."""
        return self._reader.value(value_type, raw, self._location / key, self._names)

    def error(self, key: str | int, text: str) -> None:
        """Report that the name of a member is wrong."""
        self._reader.diagnostics.error(self._location / key, text)

    def written(self) -> str:
        """Return the line of the file on which the value stands."""
        return self._location.source.written(self._location.path)


class Reader:
    """Reads values; remembers what it parsed, so that equal values are one object."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics = diagnostics
        self._parsed: dict[tuple[ValueType, str, str], object] = {}

    def entry(
        self, table: TableSchema, keys: Mapping[str, Key], raw: object, location: Location
    ) -> Entry:
        """Check the names of the keys of one table; unknown ones are reported and dropped."""
        known: dict[str, object] = {}
        written: dict[str, str] = {}
        if not isinstance(raw, dict):
            header = table.shape.value.format(table.name)
            text = f"expected a table, {header}, got {describe(raw)}"
            self.diagnostics.error(location, text)
            return Entry(location, known, written)
        for name, value in raw.items():
            key = keys.get(name)
            if key is None:
                text = _unknown_key(name, value, keys, location)
                self.diagnostics.error(location / name, text)
            elif key.name in known:
                text = f"the same key as {written.get(key.name, key.name)}, which is set too"
                self.diagnostics.error(location / name, text)
            else:
                known[key.name] = value
                if name != key.name:
                    written[key.name] = name
        for key in table.keys:
            if key.required and key.name not in known:
                text = "is missing, and there is no default"
                self.diagnostics.error(location / key.name, text)
        return Entry(location, known, written)

    def read(self, entry: Entry, keys: Iterable[Key], names: Names) -> Values:
        """Return the values of those `keys` that are set and right."""
        values: Values = {}
        for key in keys:
            if key.name in entry.raw:
                value = self.value(key.value_type, entry.raw[key.name], entry.at(key.name), names)
                if value is not BAD:
                    values[key.name] = value
        return values

    def value(self, value_type: ValueType, raw: object, location: Location, names: Names) -> object:
        """Expand and parse one value; report it and return BAD if it is wrong."""
        try:
            if isinstance(raw, str):
                return self._text(value_type, raw, location.source.here, names)
            return value_type.read(raw, Context(self, location, names))
        except ExpansionError as error:
            self.diagnostics.error(location, str(error))
        except BadValueError as error:
            # What an expansion gave may be a secret of the environment: show what was written.
            expanded = ", expanded" if isinstance(raw, str) and "%(" in raw else ""
            got = error.got or describe(raw, secret=value_type.secret)
            expected = error.expected or value_type.expected
            text = f"expected {expected}, got {got}{expanded}{error.hint}"
            self.diagnostics.error(location, text)
        return BAD

    def _text(self, value_type: ValueType, raw: str, here: str, names: Names) -> object:
        """Return what a string means. Raises ExpansionError, BadValueError."""
        text = expand(value_type.before_expansion(raw), names)
        if "%(" not in raw:
            value_type.check_written(text)
        known = (value_type, text, here if value_type.relative else "")
        if known in self._parsed:
            return self._parsed[known]
        if "\0" in text:
            raise BadValueError(hint=", which holds a NUL character")
        value = self._parsed[known] = value_type.parse_text(text, here)
        return value


def _unknown_key(name: str, value: object, keys: Mapping[str, Key], location: Location) -> str:
    from supervisor_lite.config.schema.elsewhere import ELSEWHERE
    from supervisor_lite.config.schema.neighbours import meant

    if name in ELSEWHERE:
        return f"unknown key: {ELSEWHERE[name]}"
    if text := meant(name, str(location.path[0])):
        return f"unknown key: {text}"
    near = suggest(name, keys)
    if not near and isinstance(value, dict) and len(location.path) == 2:
        table, of = location.path
        return f'unknown key; a name with a dot needs quotes: [{table}."{of}.{name}"]'
    return f"unknown key{near}"


def unknown_table(
    name: str, value: object, daemon: Mapping[str, Key], tables: Iterable[str]
) -> str:
    """Say what an unknown key of the root may have meant; `daemon` are the keys of [daemon]."""
    from supervisor_lite.config.schema.elsewhere import ELSEWHERE
    from supervisor_lite.config.schema.neighbours import meant

    if name in ELSEWHERE:
        return f": {ELSEWHERE[name]}"
    if not isinstance(value, dict | list) and name in daemon:
        return ": a key of [daemon], which must stand above it"
    text = meant(name, "")
    return f": {text}" if text else suggest(name, tables)
