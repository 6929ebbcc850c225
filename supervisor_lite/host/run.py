"""What is known of a run in order to recognise its processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from supervisor_lite.host.procfs import Stat, outputs_of, real_uid

Inode: TypeAlias = tuple[int, int]
"""Device and inode number of a file."""


class Trust(NamedTuple):
    """Of whom it is taken that a process is of a run, as its environment says.

    Anybody can write a run identity into their environment. Whoever is covered here could do as
    they like with the program anyway, or has something that only its descendants can have.
    """

    uids: frozenset[int]
    """Users whose processes are believed."""
    outputs: frozenset[Inode]
    """FIFOs of the run: who has one as its stdout or stderr has inherited that."""

    def covers(self, stat: Stat) -> bool:
        """Is this process believed?"""
        return real_uid(stat.pid) in self.uids or not self.outputs.isdisjoint(outputs_of(stat))


@dataclass(slots=True, eq=False)
class Run:
    """One run and the marks that its processes carry."""

    number: int
    marker: str
    """The value of the run identity variable in its environment."""
    root: int
    """Pid of the main process: also its session and process group. 0: nobody knows."""
    start: int
    """Start time of the main process in clock ticks after boot."""
    adopted: bool = False
    """An earlier daemon began it: its orphans do not become our children."""
    watched: bool = True
    """Was its main process ours to watch until it ended? If not, its pid may have been given to
    somebody else since, and a session of that number proves nothing."""
    alive: bool = True
    """Has its main process not ended yet?"""
    told: frozenset[tuple[int, int]] = frozenset()
    """Pid and start of those that were in its process group when that was sent the stop signal."""
    outputs: frozenset[Inode] = frozenset()
    """The FIFOs that its processes inherit as stdout and stderr."""
    trust: Trust | None = None
    """None, for a run that we have begun: its own user and ours."""
    cgroup: str | None = None
    """The directory of its cgroup, if it has one."""
    seen: dict[int, int] = field(default_factory=dict)
    """Who was below the main process when that was last signalled: start time by pid."""
