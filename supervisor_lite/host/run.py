"""What is known of a run in order to recognise its processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from supervisor_lite.host.procfs import Stat, outputs_of, read_stat, real_uid

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
    begun: int | None = None
    """That of its first main process, or any time before; None: it has had no other."""
    earlier: dict[int, int] = field(default_factory=dict)
    """Its sessions, besides that of the main process, if that was replaced: start time of who made
    it, by number; 0 if nobody knows, because that one has ended."""
    joined: int | None = None
    """The process group of the main process; None: it leads one of its own."""
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

    @property
    def oldest(self) -> int:
        """None of its processes has begun before this time."""
        return self.start if self.begun is None else self.begun

    @property
    def sessions(self) -> dict[int, int]:
        """Its sessions by number, each with the start time of the process that made it.

        Nobody can join a session: who is in one has inherited it.
        """
        return {**self.earlier, self.root: self.start} if self.earlier else {self.root: self.start}

    @property
    def group(self) -> int:
        """The process group of the main process."""
        return self.root if self.joined is None else self.joined

    def settle(self, main: Stat) -> None:
        """Look into which session and group the main process was born: it may lead none."""
        self.joined = main.pgrp if main.pgrp != main.pid else None
        if main.session not in (self.root, *self.earlier):
            maker = read_stat(main.session)
            self.earlier[main.session] = maker.start if maker is not None else 0

    def replace_root(self, stat: Stat) -> None:
        """Have another main process."""
        self.begun = self.oldest
        self.earlier[self.root] = self.start
        self.root, self.start, self.alive, self.watched = stat.pid, stat.start, True, True
        self.settle(stat)
