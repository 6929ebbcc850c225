"""Which processes an operator means.

What it costs to find out is bounded (limits.py): patterns are counted, all else is looked up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import translate
from functools import cached_property, lru_cache

from supervisor_lite.control import limits
from supervisor_lite.core.process import Process
from supervisor_lite.errors import LimitExceeded, NoSuchProcess


def resolve(
    names: Sequence[str],
    table: Mapping[str, Process],
    sees: Callable[[str], bool] | None = None,
    spares: Callable[[Process], bool] | None = None,
) -> list[Process]:
    """Return the processes that the names mean, each once, in the order of the names.

    `web` (a process, else the group, the program or the processes of that name), `site:web` (the
    same in a group), `site:*`, `site:`, `all`, and shell globs over all of these. A name that may
    mean many means those that the caller `sees`. Raises LimitExceeded, and NoSuchProcess for the
    names that mean nothing, all of them; then nothing at all is to be done.

    Whom it `spares` is meant by its name, not by `all` or a pattern.
    """
    found: dict[str, Process] = {}
    unknown: list[str] = []
    for name, matches in meant(names, table, sees):
        if not matches and name != "all":
            unknown.append(name)
        if spares is not None and _is_broad(name):
            matches = [process for process in matches if not spares(process)]
        for process in matches:
            found.setdefault(process.name, process)
    if unknown:
        raise NoSuchProcess(unknown)
    return list(found.values())


def meant(
    names: Sequence[str],
    table: Mapping[str, Process],
    sees: Callable[[str], bool] | None = None,
) -> Iterator[tuple[str, list[Process]]]:
    """Yield each name, once, and the processes that it means. Raises LimitExceeded."""
    different = dict.fromkeys(names)
    search = Search(table, [name for name in different if _is_pattern(name)])
    for name in different:
        matches = search.matches(name)
        yield name, matches if sees is None else _seen(name, matches, sees)


def _seen(name: str, matches: list[Process], sees: Callable[[str], bool]) -> list[Process]:
    """Leave out what the caller does not see, unless it was named as such: that is refused."""
    seen = [process for process in matches if sees(process.name)]
    many = name == "all" or name.endswith(":") or _is_pattern(name)
    return seen if seen or many else matches


def _is_pattern(name: str) -> bool:
    return "*" in name or "?" in name or "[" in name


def _is_broad(name: str) -> bool:
    """Tell whether it may mean what nobody has thought of: `all`, patterns; not `group:*`."""
    return name == "all" or _is_pattern(name.removesuffix(":*"))


def in_order(processes: Iterable[Process]) -> list[Process]:
    """Return processes by group, then as the group lists them."""
    return sorted(processes, key=lambda p: (p.group, natural(p.program.name)))


@lru_cache(maxsize=1 << 14)
def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts web_2 before web_10."""
    parts: list[tuple[int, int, str]] = []
    word = ""
    for char in name:
        if word and char.isdigit() != word[-1].isdigit():
            parts.append(_part(word))
            word = ""
        word += char
    if word:
        parts.append(_part(word))
    return tuple(parts)


def _part(word: str) -> tuple[int, int, str]:
    return (0, int(word), word) if word.isdecimal() else (1, 0, word)


class Search:
    """Finds what names mean in a table; made for one request."""

    def __init__(self, table: Mapping[str, Process], patterns: Sequence[str]) -> None:
        """`patterns` are those that will be asked for. Raises LimitExceeded."""
        self._table = table
        patterns = [pattern for pattern in patterns if not pattern.endswith(":*")]
        if patterns:
            _check(patterns, sum(map(_compared, table.values())))

    @cached_property
    def _groups(self) -> dict[str, list[Process]]:
        groups: dict[str, list[Process]] = {}
        for process in self._table.values():
            groups.setdefault(process.group, []).append(process)
        return groups

    @cached_property
    def _short(self) -> dict[str, list[Process]]:
        """Processes by what they are called without their group: their program, and themselves."""
        short: dict[str, list[Process]] = {}
        for process in self._table.values():
            for name in {process.program.program, process.program.name} - {process.group}:
                short.setdefault(name, []).append(process)
        return short

    def matches(self, name: str) -> list[Process]:
        """Return the processes that one name means."""
        if name == "all":
            return in_order(self._table.values())
        if name in self._table:
            return [self._table[name]]
        group, colon, process = name.partition(":")
        if colon and process in ("", "*"):
            return in_order(self._groups.get(group, ()))
        if colon and group == process and group in self._table:
            return [self._table[group]]
        if _is_pattern(name):
            return in_order(self._matching(re.compile(translate(name)).match))
        if colon:  # a process would be in the table by this name
            return in_order(p for p in self._groups.get(group, ()) if p.program.program == process)
        return in_order([*self._groups.get(name, ()), *self._short.get(name, ())])

    def _matching(self, match: Callable[[str], object]) -> Iterator[Process]:
        """Yield what is called like this: with its group, or by any name that means it alone."""
        for process in self._table.values():
            if any(map(match, _called(process))):
                yield process


def _called(process: Process) -> tuple[str, ...]:
    """Return all that a process is called: by itself and by its program, with its group and not."""
    program, group = process.program, process.group
    own, of = program.name, program.program or program.name
    return tuple(dict.fromkeys((f"{group}:{own}", own, group, f"{group}:{of}", of)))


def _compared(process: Process) -> int:
    """Return how many characters of a process a pattern is compared with."""
    return sum(map(len, _called(process)))


def _check(patterns: Sequence[str], size: int) -> None:
    """Raise LimitExceeded if this costs more than one request may."""
    if len(patterns) > limits.MAX_PATTERNS:
        text = f"{len(patterns)} patterns in one request; at most {limits.MAX_PATTERNS} may be"
        raise LimitExceeded(text)
    for pattern in patterns:
        if len(pattern) > limits.MAX_PATTERN:
            raise LimitExceeded(f"a pattern has at most {limits.MAX_PATTERN} characters")
        if pattern.count("*") > limits.MAX_STARS:
            raise LimitExceeded(f'"{pattern}" has more than {limits.MAX_STARS} asterisks')
    if len(patterns) * size > limits.MAX_COMPARED and len(patterns) > 1:
        most = max(1, limits.MAX_COMPARED // size)
        text = (
            f"{len(patterns)} patterns are too many for this many processes; at most {most} may be"
        )
        raise LimitExceeded(text)
