"""From raw TOML values to resolved ones, by the table of keys; complains of all that is wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from supervisor_lite.config.expand import ExpansionError, Names, expand
from supervisor_lite.config.kinds import Kind
from supervisor_lite.config.schema import ELSEWHERE, Key, Table
from supervisor_lite.config.source import Report, Spot
from supervisor_lite.config.wording import BadValueError, describe
from supervisor_lite.text import suggest

BAD = object()
"""Stands for a value that was complained about."""

_LONELY = re.compile(r"%(?![%(])(?<!%%)")
"""A percent sign that is neither doubled nor the beginning of an expansion."""

Values = dict[str, object]
"""Resolved values by canonical key; what was not set, or is wrong, is absent."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One table of a file, its keys known and under their canonical names."""

    spot: Spot
    raw: Mapping[str, object]
    written: Mapping[str, str]
    """Canonical name -> the name in the file, where an alias was used."""

    def at(self, key: str) -> Spot:
        """Return the place of a key; of the table if the key is not set."""
        return self.spot / self.written.get(key, key)


class Reader:
    """Reads values; remembers what it parsed, so that equal values are one object."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._parsed: dict[tuple[Kind, str, str], object] = {}

    def entry(self, table: Table, keys: Mapping[str, Key], raw: object, spot: Spot) -> Entry:
        """Check the names of the keys of one table; unknown ones are complained of and dropped."""
        known: dict[str, object] = {}
        written: dict[str, str] = {}
        if not isinstance(raw, dict):
            header = table.shape.value.format(table.name)
            self._report.complain(spot, f"expected a table, {header}, got {describe(raw)}")
            raw = None
        for name, value in (raw or {}).items():
            key = keys.get(name)
            if key is None:
                self._report.complain(spot / name, _unknown_key(name, value, keys, spot))
            elif key.name in known:
                first = written.get(key.name, key.name)
                self._report.complain(spot / name, f"the same key as {first}, which is set too")
            else:
                known[key.name] = value
                if name != key.name:
                    written[key.name] = name
        for key in table.keys if raw is not None else ():
            if key.required and key.name not in known:
                self._report.complain(spot / key.name, "is missing, and there is no default")
        return Entry(spot, known, written)

    def read(self, entry: Entry, keys: Iterable[Key], names: Names) -> Values:
        """Return the values of those `keys` that are set and right."""
        values: Values = {}
        for key in keys:
            if key.name in entry.raw:
                value = self.value(key.kind, entry.raw[key.name], entry.at(key.name), names)
                if value is not BAD:
                    values[key.name] = value
        return values

    def value(self, kind: Kind, raw: object, spot: Spot, names: Names) -> object:
        """Expand and parse one value; complain and return BAD if it is wrong."""
        value = raw
        if isinstance(raw, str):
            return self._string(kind, raw, spot, names)
        if isinstance(raw, list) and kind.item is not None and not kind.table:
            items = [self.value(kind.item, item, spot / i, names) for i, item in enumerate(raw)]
            value = BAD if BAD in items else tuple(items)
        elif isinstance(raw, dict) and kind.item is not None and kind.table:
            table = {k: self._named(kind, k, item, spot / k, names) for k, item in raw.items()}
            value = BAD if BAD in table.values() else table
        elif kind.octal and _is_decimal(raw, spot):
            text = f'expected {kind.words}, got the decimal number {raw}; write "{raw:03d}"'
            self._report.complain(spot, text)
            return BAD
        if value is BAD:
            return BAD
        try:
            return kind.parse(value)
        except BadValueError as error:
            return self._refuse(kind, raw, spot, error)

    def _named(self, table: Kind, name: str, raw: object, spot: Spot, names: Names) -> object:
        """Read one value of a table; its name can be wrong, and the value besides."""
        kind = table.item
        assert kind is not None, "a table has items"
        wrong = False
        if table.named is not None:
            try:
                kind = table.named(name)
            except BadValueError as error:
                text = f'expected {error.expected}, got "{name}"{error.hint}'
                self._report.complain(spot, text)
                wrong = True
        value = self.value(kind, raw, spot, names)
        return BAD if wrong else value

    def _string(self, kind: Kind, raw: str, spot: Spot, names: Names) -> object:
        try:
            text = expand(_LONELY.sub("%%", raw) if kind.percent else raw, names)
        except ExpansionError as error:
            self._report.complain(spot, str(error))
            return BAD
        if kind.strings is not None and "%(" not in raw and text not in kind.strings:
            return self._refuse(kind, raw, spot, BadValueError(hint=_nearest(kind, text)))
        memory = (kind, text, spot.source.here if kind.not_paths is not None else "")
        if memory in self._parsed:
            return self._parsed[memory]
        try:
            if "\0" in text:
                raise BadValueError(hint=", which holds a NUL character")
            value = kind.parse(text)
            if kind.not_paths is not None and value not in kind.not_paths:
                value = absolute(str(value), spot.source.here)
        except BadValueError as error:
            return self._refuse(kind, raw, spot, error)
        self._parsed[memory] = value
        return value

    def _refuse(self, kind: Kind, raw: object, spot: Spot, error: BadValueError) -> object:
        # What an expansion gave may be a secret of the environment: show what was written.
        expanded = ", expanded" if isinstance(raw, str) and "%(" in raw else ""
        got = describe(raw, secret=kind.secret)
        text = f"expected {error.expected or kind.words}, got {got}{expanded}{error.hint}"
        self._report.complain(spot, text)
        return BAD


def _is_decimal(raw: object, spot: Spot) -> bool:
    """Tell whether a mode was written as 22, which is never what was meant, and not as 0o22."""
    # To the TOML parser 0o22 and 18 are the same.
    return isinstance(raw, int) and raw > 7 and "0o" not in spot.source.written(spot.path)


def absolute(path: str, here: str) -> str:
    """Return an absolute, normal path; `~` is a home, the rest is relative to `here`."""
    expanded = os.path.expanduser(path)
    if expanded.startswith("~"):
        raise BadValueError(hint=", and there is no such user")
    return os.path.normpath(os.path.join(here, expanded))


def _nearest(kind: Kind, text: str) -> str:
    return suggest(text, kind.strings) if kind.strings else ""


def _unknown_key(name: str, value: object, keys: Mapping[str, Key], spot: Spot) -> str:
    if name in ELSEWHERE:
        return f"unknown key: {ELSEWHERE[name]}"
    near = suggest(name, keys)
    if not near and isinstance(value, dict) and len(spot.path) == 2:
        table, of = spot.path
        return f'unknown key; a name with a dot needs quotes: [{table}."{of}.{name}"]'
    return f"unknown key{near}"
