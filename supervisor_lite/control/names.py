"""Which processes an operator means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

from supervisor_lite.core.process import Process
from supervisor_lite.errors import NoSuchProcess


def resolve(
    names: Sequence[str],
    table: Mapping[str, Process],
    sees: Callable[[str], bool] | None = None,
) -> list[Process]:
    """Return the processes that the names mean, each once, in the order of the names.

    `web` (a process, else the group or program of that name), `site:web`, `site:*`, `site:`,
    `all`, shell globs over `group:name` and `name`. A name that may mean many means those that the
    caller `sees`. Raises NoSuchProcess for the names that mean nothing, all of them; then nothing
    at all is to be done.
    """
    found: dict[str, Process] = {}
    unknown: list[str] = []
    for name in names:
        matches = _match(name, table)
        if sees is not None:
            matches = _seen(name, matches, sees)
        if not matches and name != "all":
            unknown.append(name)
        for process in matches:
            found.setdefault(process.name, process)
    if unknown:
        raise NoSuchProcess(unknown)
    return list(found.values())


def _seen(name: str, matches: list[Process], sees: Callable[[str], bool]) -> list[Process]:
    """Leave out what the caller does not see, unless it was named as such: that is refused."""
    seen = [process for process in matches if sees(process.name)]
    pattern = name == "all" or name.endswith(":") or any(char in name for char in "*?[")
    return seen if seen or pattern else matches


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


def _match(name: str, table: Mapping[str, Process]) -> list[Process]:
    if name == "all":
        return in_order(table.values())
    if name in table:
        return [table[name]]
    group, colon, process = name.partition(":")
    if colon and process in ("", "*"):
        return in_order(p for p in table.values() if p.group == group)
    if colon and group == process and group in table:
        return [table[group]]
    if any(char in name for char in "*?["):
        return in_order(
            p
            for p in table.values()
            if fnmatchcase(p.name, name) or fnmatchcase(f"{p.group}:{p.program.name}", name)
        )
    if colon:
        return [p for p in table.values() if p.group == group and p.program.name == process]
    members = [p for p in table.values() if name in (p.group, p.program.program)]
    return in_order(members)
