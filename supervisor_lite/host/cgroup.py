"""A cgroup per run: who belongs to it, whatever they did; their end; their limits (cgroups(7)).

A child joins the cgroup of its run before exec and cannot leave it by any means of its own: double
fork, setsid and a cleared environment change nothing. All cgroups of a daemon are in one directory
with the name of its state directory, so that two daemons never touch each other's, and the next
daemon finds them.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from supervisor_lite.host.delegation import LEAF, Base, NotOursError, find_base, look
from supervisor_lite.host.identity import Stat, living
from supervisor_lite.host.kernel_files import read_value, write_value
from supervisor_lite.model.program import Program

_DIRECTORY = "supervisor-lite-"
_RUN = "run-"

_LIMITS = (
    ("memory_max", "memory", "memory.max"),
    ("memory_high", "memory", "memory.high"),
    ("cpu_max", "cpu", "cpu.max"),
    ("pids_max", "pids", "pids.max"),
)
"""Key of a program, the controller that it needs, the file that it goes to."""

_BEFORE = ("memory_max", "pids_max")
_AFTER = ("memory_high", "cpu_max")
"""The limits that are set before a child is made, and those that would slow down its exec."""

EVENTS = "memory.events"
"""The file that counts who was killed; it is there if the controller is."""

_TRIES = 4
"""How many cgroups that were left to somebody are looked at when another one is let go."""


class Killed(NamedTuple):
    """Whom of a cgroup the kernel has killed for want of memory."""

    processes: int = 0
    own: bool = False
    """A limit of the cgroup itself was met; if not, it was one above, or the whole machine's."""


class Cgroups:
    """The cgroups of one daemon's runs. Where there can be none, it makes and finds none."""

    def __init__(self, base: Base | str, instance: str, report: Callable[[str], None]) -> None:
        """`base`: what to divide, or in words why there is nothing; `instance`: whose they are."""
        self._report = report
        self._why = base if isinstance(base, str) else ""
        self._base = None if isinstance(base, str) else base
        self._directory = f"{self._base.path}/{_DIRECTORY}{instance}" if self._base else ""
        self._enabled: dict[str, str] = {}
        """Controller -> why it is not enabled, empty if it is."""
        self._warned: set[tuple[str, str]] = set()
        self._kept: deque[str] = deque()
        """Cgroups of runs that are over in which somebody may still live."""

    @property
    def directory(self) -> str | None:
        """Where they are; None if there are none."""
        return self._directory or None

    def give_up(self, why: str) -> None:
        """Make no more of them; those that are there are used to their end."""
        if self._base is not None:
            self._report(f"runs get no cgroups any more: {why}")
        self._why = self._why or why
        self._base = None
        self._enabled.clear()  # so that limits which are not applied any more are told

    def make(self, number: int, program: Program) -> str | None:
        """Make the cgroup of a run with its bounds; None if there is none to be."""
        if self._base is None:
            self.warn(program)
            return None
        path = self._path(number)
        try:
            self._mkdir(path)
        except OSError as error:
            self._report(f'cannot make the cgroup "{path}": {error.strerror}')
            return None
        self._bound(path, program, _BEFORE)
        return path

    def slow_down(self, path: str, program: Program) -> None:
        """Set what makes a run slow, now that it runs: we wait for its exec."""
        self._bound(path, program, _AFTER)

    def _bound(self, path: str, program: Program, keys: Collection[str]) -> None:
        """Set these limits; what cannot be applied is told once per program and key."""
        for key, file in self.warn(program):
            if key not in keys:
                continue
            try:
                write_value(f"{path}/{file}", str(getattr(program, key)))
            except OSError as error:
                self._not_applied(program, key, f"{path}/{file}: {error.strerror}")

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

    def warn(self, program: Program) -> list[tuple[str, str]]:
        """Tell which limits of a program cannot be applied; return the others, with their files."""
        usable = []
        for key, controller, file in _LIMITS:
            if getattr(program, key) is None:
                continue
            why = self._enable(controller)
            if why:
                self._not_applied(program, key, why)
            else:
                usable.append((key, file))
        return usable

    def _not_applied(self, program: Program, key: str, why: str) -> None:
        name = program.program or program.name
        if (name, key) not in self._warned:
            self._warned.add((name, key))
            self._report(f"{name}: {key} is not applied: {why}")

    def _enable(self, controller: str) -> str:
        """Enable a controller for the runs; return why that is not possible, or an empty string."""
        if controller not in self._enabled:
            self._enabled[controller] = self._why_not(controller)
        return self._enabled[controller]

    def _why_not(self, controller: str) -> str:
        base = self._base
        if base is None:
            return f"no cgroups: {self._why}"
        if base.unlimited:
            return base.unlimited
        for path in (base.path, self._directory):
            if controller not in read_value(f"{path}/cgroup.controllers").split():
                return f'the controller "{controller}" is not available in {path}'
            if controller in read_value(f"{path}/cgroup.subtree_control").split():
                continue
            try:
                if base.leave and path == base.path:
                    _step_aside(base)
                write_value(f"{path}/cgroup.subtree_control", f"+{controller}")
            except OSError as error:
                if error.errno == errno.EBUSY:
                    pids = ", ".join(map(str, _pids(path)))
                    return f"processes are in {path} itself, where none may be: {pids}"
                return f'cannot enable "{controller}" in {path}: {error.strerror}'
        return ""

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

    def tidy(self, matters: Callable[[int], bool]) -> None:
        """Let go of the cgroups of all runs that do not matter any more."""
        for number, path in self.paths():
            if not matters(number):
                self.let_go(path)

    def holds(self, pid: int) -> bool:
        """Is this process in the cgroup of one of our runs?"""
        if not self._directory:
            return False
        return f"/{os.path.basename(self._directory)}/{_RUN}" in read_value(f"/proc/{pid}/cgroup")

    # Their end.

    def left(self, path: str) -> list[Stat]:
        """Return who lives in a cgroup. If nobody does, it is removed, which is one system call."""
        return [] if _remove(path) else members(path)

    def let_go(self, path: str) -> None:
        """The run is over: remove its cgroup, as soon as nobody lives in it any more."""
        for _ in range(min(_TRIES, len(self._kept))):
            kept = self._kept.popleft()
            if not _remove(kept):
                self._kept.append(kept)
        if not _remove(path):
            self._kept.append(path)

    def close(self) -> None:
        """Remove what nobody lives in; the rest is for the next daemon."""
        for kept in self._kept:
            _remove(kept)
        if self._directory:
            _remove(self._directory, inside=False)


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


def members(path: str) -> list[Stat]:
    """Return the live processes of a cgroup and of what they made below it."""
    own = living(pid for pid in _pids(path) if pid != os.getpid())
    return own + [stat for child in _children(path) for stat in members(child)]


def kill(path: str) -> bool:
    """Kill everyone in a cgroup at once, however fast they fork; False on Linux < 5.14."""
    try:
        write_value(f"{path}/cgroup.kill", "1")
    except OSError:
        return False
    return True


def killed(path: str) -> Killed:
    """Return whom of a cgroup the kernel has killed for want of memory.

    It counts a killed process whoever's memory was short; `oom` counts how often a limit of this
    cgroup, or of one below it, was met.
    """
    lines = (line.partition(" ") for line in read_value(f"{path}/{EVENTS}").splitlines())
    counts = {name: int(count) for name, _, count in lines if count.isdecimal()}
    return Killed(counts.get("oom_kill", 0), own=counts.get("oom", 0) > 0)


def join(path: str) -> None:
    """Put the calling process into a cgroup. Raises OSError."""
    write_value(f"{path}/cgroup.procs", "0")


def _step_aside(base: Base) -> None:
    """Move the daemon into its leaf: a cgroup with controllers holds cgroups or processes."""
    leaf = f"{base.path}/{LEAF}"
    if not os.path.isdir(leaf):
        os.mkdir(leaf)
    join(leaf)


def _remove(path: str, *, inside: bool = True) -> bool:
    """Remove a cgroup unless somebody lives in it (`inside`: with those below it)."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        if not inside or "populated 0" not in read_value(f"{path}/cgroup.events"):
            return False
    else:
        return True
    for child in _children(path):
        _remove(child)
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # somebody has come meanwhile, or the kernel is still busy with the last one
    return True


def _children(path: str) -> Iterator[str]:
    try:
        with os.scandir(path) as entries:
            found = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    yield from found


def _pids(path: str) -> list[int]:
    """Return the processes of a cgroup; those of other pid namespaces are shown as 0."""
    return [pid for word in read_value(f"{path}/cgroup.procs").split() if (pid := int(word))]
