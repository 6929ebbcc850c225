"""Whether a process is of a run of ours, as its environment says.

The run identity in the environment is a name, not a key: every program knows those of its own
processes, and anybody can write one into their own environment. It is accepted from a process of
the user whom the program runs as, or of ours; these could do as they like with the program anyway.
From another user it takes something that only descendants of the run have: its FIFO as their
output.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from supervisor_lite.host.procfs import Stat
from supervisor_lite.host.run import Trust
from supervisor_lite.model.program import Program
from supervisor_lite.users import user_id


class Ownership:
    """Which users' processes may belong to which process of ours, by its name."""

    def __init__(self, fifos_of: Callable[[Program], frozenset[tuple[int, int]]]) -> None:
        """`fifos_of` returns device and inode of the FIFOs that runs of a program inherit."""
        self._fifos_of = fifos_of
        self._programs: dict[str, list[Program]] = {}

    def register(self, name: str, program: Program) -> None:
        """A process has, or had, this definition."""
        self._programs.setdefault(name, []).append(program)

    def trust(self, name: str) -> Trust:
        """Return which processes are accepted as belonging to this name's runs."""
        programs = self._programs.get(name) or [placeholder(name)]
        uids = {uid for program in programs if (uid := _uid_of(program)) is not None}
        return Trust(frozenset({os.getuid(), *uids}), self._fifos_of(programs[0]))

    def is_trusted(self, stat: Stat, name: str) -> bool:
        """Does a process belong to this name's runs, if its environment says so?"""
        return self.trust(name).covers(stat)


def _uid_of(program: Program) -> int | None:
    """Return whom a program runs as, None if there is no such user any more."""
    if program.user is None:
        return os.getuid()
    try:
        return user_id(program.user)
    except KeyError:
        return None


def placeholder(name: str) -> Program:
    """Return a definition for a process of which nothing but its name is known."""
    group, _, process = name.rpartition(":")
    return Program(name=process, group=group, command=("unknown",), autostart=False)
