"""A cgroup per run: who belongs to it, whatever they did; their end; their limits (cgroups(7)).

A child joins the cgroup of its run before exec and cannot leave it by any means of its own: double
fork, setsid and a cleared environment change nothing. That makes it the best answer to "is anything
left of this run", and the cheapest: rmdir(2) succeeds if nobody is in there, and says EBUSY if
somebody is.

    /sys/fs/cgroup/…/                the base: what is ours to divide (delegation.py)
        supervisor/                  the leaf where the daemon itself may have to go
        supervisor-lite-INSTANCE/    one directory a state directory
            run-17/                  a run, with whatever its processes make below it

All cgroups of a daemon are in one directory with the name of its state directory, so that two
daemons never touch each other's, and the next daemon finds them: a run that it does not know from
the journal it knows from here, and nobody can lie about it.

A cgroup is removed when its run is over. If somebody who may stay still lives there (`leftovers =
"keep"`), or the kernel is not done with the last one yet, it is put aside and tried again when the
next ones are removed; there is no timer for it. What is left at the end is for the next daemon.

Whether there can be cgroups at all is decided once, at the start. Where there can be none (version
1, no delegation, a login session) nothing is made and everything else works by other means
(descendants.py); only limits need them, and say so.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator

from supervisor_lite.host import cgroup
from supervisor_lite.host.cgroup_limits import CgroupLimits
from supervisor_lite.host.delegation import Base, NotOursError, find_base, look
from supervisor_lite.host.kernel_files import read_value
from supervisor_lite.host.procfs import Stat
from supervisor_lite.model.program import Program

_DIRECTORY = "supervisor-lite-"
_RUN = "run-"

_MAX_RETRIES = 4
"""How many cgroups that were put aside are looked at when another one is discarded."""


class Cgroups:
    """The cgroups of one daemon's runs. Where there can be none, it makes and finds none."""

    def __init__(self, base: Base | str, instance: str, report: Callable[[str], None]) -> None:
        """`base`: what to divide, or in words why there is nothing; `instance`: whose they are."""
        self._report = report
        self._base = base if isinstance(base, Base) else None
        why = base if isinstance(base, str) else ""
        self._directory = f"{self._base.path}/{_DIRECTORY}{instance}" if self._base else ""
        self.limits = CgroupLimits(self._base, self._directory, why, report)
        self._put_aside: deque[str] = deque()
        """Cgroups of runs that are over in which somebody may still live."""

    @property
    def directory(self) -> str | None:
        """Where they are; None if there are none."""
        return self._directory or None

    def give_up(self, why: str) -> None:
        """Make no more of them; those that are there are used to their end."""
        if self._base is not None:
            self._report(f"runs get no cgroups any more: {why}")
        self._base = None
        self.limits.give_up(why)

    def make(self, number: int, program: Program) -> str | None:
        """Make the cgroup of a run with its limits; None if there is none to be."""
        if self._base is None:
            self.limits.usable(program)  # tells that they are not applied
            return None
        path = self._path(number)
        try:
            self._mkdir(path)
        except OSError as error:
            self._report(f'cannot make the cgroup "{path}": {error.strerror}')
            return None
        self.limits.apply_before_exec(path, program)
        return path

    def _mkdir(self, path: str) -> None:
        """Make a cgroup; one that is there already will do if nobody lives in it."""
        try:
            os.mkdir(path)
        except FileNotFoundError:  # somebody has tidied up
            os.mkdir(self._directory)
            os.mkdir(path)
        except FileExistsError:
            if self.left(path):
                raise
            with contextlib.suppress(FileExistsError):
                os.mkdir(path)

    # Finding them again.

    def _path(self, number: int) -> str:
        return f"{self._directory}/{_RUN}{number}"

    def find(self, number: int) -> str | None:
        """Return the cgroup of a run if it has one."""
        if not self._directory:
            return None
        path = self._path(number)
        return path if os.path.isdir(path) else None

    def numbers(self) -> list[int]:
        """Return the runs that have a cgroup."""
        if not self._directory:
            return []
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return []
        words = (name.removeprefix(_RUN) for name in names if name.startswith(_RUN))
        return sorted(int(word) for word in words if word.isdecimal())

    def paths(self) -> Iterator[tuple[int, str]]:
        """Yield the runs that have a cgroup, each with its directory."""
        for number in self.numbers():
            yield number, self._path(number)

    def holds(self, pid: int) -> bool:
        """Is this process in the cgroup of one of our runs?"""
        if not self._directory:
            return False
        return f"/{os.path.basename(self._directory)}/{_RUN}" in read_value(f"/proc/{pid}/cgroup")

    # Their end.

    def left(self, path: str) -> list[Stat]:
        """Return who lives in a cgroup. If nobody does, it is removed, which is one system call."""
        return [] if cgroup.remove(path) else cgroup.members(path)

    def discard(self, path: str) -> None:
        """The run is over: remove its cgroup, as soon as nobody lives in it any more."""
        for _ in range(min(_MAX_RETRIES, len(self._put_aside))):
            other = self._put_aside.popleft()
            if not cgroup.remove(other):
                self._put_aside.append(other)
        if not cgroup.remove(path):
            self._put_aside.append(path)

    def tidy(self, matters: Callable[[int], bool]) -> None:
        """Discard the cgroups of all runs that do not matter any more."""
        for number, path in self.paths():
            if not matters(number):
                self.discard(path)

    def close(self) -> None:
        """Remove what nobody lives in; the rest is for the next daemon."""
        for path in self._put_aside:
            cgroup.remove(path)
        if self._directory:
            cgroup.remove(self._directory, with_children=False)


def open_cgroups(setting: str, instance: str, report: Callable[[str], None]) -> Cgroups:
    """Return the cgroups by the key `cgroups`. One that is named and of no use is reported."""
    try:
        base = find_base(setting, look())
        _prepare(base, f"{base.path}/{_DIRECTORY}{instance}")
    except NotOursError as error:
        if setting.startswith("/"):
            report(f'cgroups = "{setting}" cannot be used: {error}')
        return Cgroups(str(error), instance, report)
    return Cgroups(base, instance, report)


def _prepare(base: Base, directory: str) -> None:
    """Make what holds the runs' cgroups. Raises NotOursError if children could not join them."""
    try:
        if not os.path.isdir(base.path):
            above = os.path.dirname(base.path)
            if not os.path.exists(f"{above}/cgroup.controllers"):
                raise NotOursError(f"{above} is no cgroup of version 2")
            os.mkdir(base.path)
        if not os.path.exists(f"{base.path}/cgroup.controllers"):  # version 1 has none
            raise NotOursError(f"{base.path} is no cgroup of version 2")
        # Who moves a process must be able to write to what both places have above them.
        above = os.path.commonpath((base.path, base.own or base.path))
        if above == "/":  # two views of the hierarchy
            above = base.path
        if not os.access(f"{above}/cgroup.procs", os.W_OK):
            raise NotOursError(f"{above}/cgroup.procs is not writable")
        if not os.path.isdir(directory):
            os.mkdir(directory)
    except OSError as error:
        raise NotOursError(f'cannot make "{error.filename}": {error.strerror}') from error
