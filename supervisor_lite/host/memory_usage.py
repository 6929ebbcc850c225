"""The resident memory of whole families, by psutil: for programs that ask for a limit of it.

A family is the main process of a run and everything below it, and what was orphaned: that has
become our child, or for a run that an earlier daemon began, anybody's. Orphans are known by their
session or by the run identity in their environment; the latter anybody can write there, so it
counts only for processes of the same user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import NamedTuple

from supervisor_lite.host.identity import Stat, find_marked, read_marker, read_stat
from supervisor_lite.host.procfs import below, own_children


class Head(NamedTuple):
    """What a family is known by."""

    pid: int
    """The main process: also its session."""
    marker: str
    """The run identity."""
    adopted: bool = False
    """An earlier daemon began it, so its orphans are not our children."""


def resident(heads: Iterable[Head], is_watched: Callable[[int], bool]) -> dict[int, int]:
    """Return the bytes of resident memory of each family, by the pid of its head.

    Pages that several processes share count for each of them. `is_watched` tells the main
    processes of all runs from orphans. Those that are gone are not in the answer.
    """
    import psutil  # 2 MB, for those who need it

    heads = list(heads)
    families = {head.pid: {head.pid, *below(head.pid)} for head in heads}
    for head, stat in _orphans(heads, is_watched):
        if stat.session == head.pid or _same_user(psutil, stat.pid, head.pid):
            families[head.pid].update((stat.pid, *below(stat.pid)))
    found: dict[int, int] = {}
    for leader, pids in families.items():
        for pid in pids:
            try:
                used = psutil.Process(pid).memory_info().rss
            except psutil.Error:
                continue  # ended since
            found[leader] = found.get(leader, 0) + used
    return found


def _orphans(heads: list[Head], is_watched: Callable[[int], bool]) -> Iterator[tuple[Head, Stat]]:
    """Yield what may have been orphaned, with the family that it says it is of."""
    sessions = {head.pid: head for head in heads}
    markers = {head.marker: head for head in heads}
    for pid in own_children():
        stat = None if is_watched(pid) else read_stat(pid)
        if stat is None:
            continue
        head = sessions.get(stat.session) or markers.get(read_marker(pid) or "")
        if head is not None:
            yield head, stat
    adopted = {head.marker: head for head in heads if head.adopted}
    if adopted:
        (prefix,) = {marker.partition(":")[0] for marker in adopted}
        for marker, stats in find_marked(f"{prefix}:").items():
            yield from ((adopted[marker], stat) for stat in stats if marker in adopted)


def _same_user(psutil: ModuleType, pid: int, other: int) -> bool:
    """Do both run as the same user? Whoever is gone runs as nobody."""
    try:
        return bool(psutil.Process(pid).uids().real == psutil.Process(other).uids().real)
    except psutil.Error:
        return False
