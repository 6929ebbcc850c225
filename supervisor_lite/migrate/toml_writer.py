"""Write TOML as a person would: tables in order, short lines, comments where they stood."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Toml = bool | int | str | Sequence["Toml"] | Mapping[str, "Toml"]

WIDTH = 96
"""A longer line is broken where that is possible."""

_CONTROL = re.compile("[\0-\x08\n-\x1f\x7f]")
"""What needs an escape, in all but the multi-line strings."""


@dataclass(slots=True, eq=False)
class Line:
    """One key of a table."""

    value: Toml
    above: Sequence[str] = ()
    """Comment lines, "" for a blank one."""
    beside: Sequence[str] = ()
    remark: bool = False
    """Only its comments are written: the key has no counterpart."""


@dataclass(slots=True, eq=False)
class TomlTable:
    """One table of the file; without a path it is comments only."""

    path: tuple[str, ...]
    lines: dict[str, Line] = field(default_factory=dict)
    above: Sequence[str] = ()
    listed: bool = False
    """Written as [[…]]."""


def key(name: str) -> str:
    """Return a key, quoted if it must be."""
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _basic(name)


def text(value: str) -> str:
    """Return a string in the quotes that need the fewest backslashes."""
    literal = _CONTROL.search(value) is None
    if "\n" in value and "'''" not in value and not value.endswith("'"):
        if _CONTROL.search(value.replace("\n", "")) is None:
            return f"'''\n{value}'''"
    elif literal and ('"' in value or "\\" in value) and "'" not in value:
        return f"'{value}'"
    return _basic(value)


def comment(body: str) -> str:
    """Return a comment line."""
    if not body.isprintable():
        body = "".join(char for char in body if char == "\t" or char.isprintable())
    return f"# {body}".rstrip()


def value(what: Toml) -> str:
    """Return a value on one line (a text with line ends may take more)."""
    if isinstance(what, str):
        return text(what)
    if isinstance(what, bool):
        return "true" if what else "false"
    if isinstance(what, int):
        return str(what)
    if isinstance(what, Mapping):
        inside = ", ".join(f"{key(name)} = {value(item)}" for name, item in what.items())
        return f"{{ {inside} }}" if inside else "{}"
    return f"[{', '.join(map(value, what))}]"


def render(tables: Iterable[TomlTable], head: Sequence[str] = (), foot: Sequence[str] = ()) -> str:
    """Return the text of a file."""
    blocks = [block for block in (list(head), *map(_block, tables), list(foot)) if any(block)]
    return "\n\n".join("\n".join(_trimmed(block)) for block in blocks) + "\n" if blocks else ""


def _block(table: TomlTable) -> list[str]:
    lines = list(table.above)
    if not table.path:
        return lines
    header = ".".join(map(key, table.path))
    lines.append(f"[[{header}]]" if table.listed else f"[{header}]")
    after: list[str] = []
    for name, line in table.lines.items():
        if line.remark:
            lines += _tidy(line)
            continue
        written = f"{key(name)} = {value(line.value)}"
        broken = len(written) > WIDTH or "\n" in written
        if isinstance(line.value, Mapping) and broken:
            after += ["", *_tidy(line), f"[{header}.{key(name)}]"]
            after += [f"{key(k)} = {value(item)}" for k, item in line.value.items()]
        elif isinstance(line.value, Sequence) and not isinstance(line.value, str) and broken:
            items = [f"  {value(item)}," for item in line.value]
            lines += [*_tidy(line), f"{key(name)} = [", *items, "]"]
        elif len(line.beside) == 1 and not broken and len(written + line.beside[0]) < WIDTH:
            lines += [*line.above, f"{written}  {line.beside[0]}"]
        else:
            lines += [*_tidy(line), written]
    return lines + after


def _tidy(line: Line) -> list[str]:
    return [*line.above, *line.beside]


def _trimmed(block: list[str]) -> list[str]:
    while block and not block[0]:
        block = block[1:]
    while block and not block[-1]:
        block = block[:-1]
    return block


def _basic(value: str) -> str:
    # JSON escapes what TOML wants escaped; DEL is the exception.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
