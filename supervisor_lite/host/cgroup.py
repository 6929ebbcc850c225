"""One cgroup by its directory: who lives in it, what the kernel counts, its end (cgroups(7))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from supervisor_lite.host.kernel_files import read_value, write_value
from supervisor_lite.host.procfs import Stat, living

MEMORY_EVENTS = "memory.events"
"""The file that counts who was killed; it is there if the controller is."""


class OomKill(NamedTuple):
    """Whom of a cgroup the kernel has killed for want of memory."""

    processes: int = 0
    own: bool = False
    """A limit of the cgroup itself was met; if not, it was one above, or the whole machine's."""


def members(path: str) -> list[Stat]:
    """Return the live processes of a cgroup and of what they made below it; never ourselves."""
    own = living(pid for pid in pids(path) if pid != os.getpid())
    return own + [stat for child in _children(path) for stat in members(child)]


def pids(path: str) -> list[int]:
    """Return the processes of a cgroup; those of other pid namespaces are shown as 0."""
    return [pid for word in read_value(f"{path}/cgroup.procs").split() if (pid := int(word))]


def join(path: str) -> None:
    """Put the calling process into a cgroup. Raises OSError."""
    write_value(f"{path}/cgroup.procs", "0")


def kill(path: str) -> bool:
    """Kill everyone in a cgroup at once, however fast they fork; False on Linux < 5.14."""
    try:
        write_value(f"{path}/cgroup.kill", "1")
    except OSError:
        return False
    return True


def oom_kills(path: str) -> OomKill:
    """Return whom of a cgroup the kernel has killed for want of memory.

    It counts a killed process whoever's memory was short; `oom` counts how often a limit of this
    cgroup, or of one below it, was met.
    """
    lines = (line.partition(" ") for line in read_value(f"{path}/{MEMORY_EVENTS}").splitlines())
    counts = {name: int(count) for name, _, count in lines if count.isdecimal()}
    return OomKill(counts.get("oom_kill", 0), own=counts.get("oom", 0) > 0)


def remove(path: str, *, with_children: bool = True) -> bool:
    """Remove a cgroup unless somebody lives in it; return whether it is gone.

    For one that is empty and has none below it, which is the usual case, it is one rmdir(2).
    """
    if _rmdir(path):
        return True
    if not with_children or "populated 0" not in read_value(f"{path}/cgroup.events"):
        return False
    for child in _children(path):
        remove(child)
    return _rmdir(path)  # not if somebody has come, or the kernel is still busy with the last one


def _rmdir(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _children(path: str) -> Iterator[str]:
    try:
        with os.scandir(path) as entries:
            found = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    yield from found
