"""The limits of runs in their cgroups: which controller each needs, and why it may not be had.

A limit is a file that is there only if its controller is enabled for the directory above, and a
cgroup for whose children controllers are enabled may hold no processes itself (cgroups(7), "no
internal processes"). So a controller is enabled when the first program asks for it, on both levels
above the runs, and the daemon may have to step aside first. What cannot be applied is told once per
program and key; the program runs without it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection

from supervisor_lite.host import cgroup
from supervisor_lite.host.delegation import LEAF, Base
from supervisor_lite.host.kernel_files import read_value, write_value
from supervisor_lite.model.program import Program

_LIMITS = (
    ("memory_max", "memory", "memory.max"),
    ("memory_high", "memory", "memory.high"),
    ("cpu_max", "cpu", "cpu.max"),
    ("pids_max", "pids", "pids.max"),
)
"""Key of a program, the controller that it needs, the file that it goes to."""

_BEFORE_EXEC = ("memory_max", "pids_max")
_AFTER_EXEC = ("memory_high", "cpu_max")
"""Those that would slow the exec down, for whose end the daemon waits."""


class CgroupLimits:
    """Applies limits below one directory; `base` is None where there are no cgroups."""

    def __init__(
        self, base: Base | None, directory: str, why: str, report: Callable[[str], None]
    ) -> None:
        """`why`: why there are none, in words."""
        self._base = base
        self._directory = directory
        self._why = why
        self._report = report
        self._enabled: dict[str, str] = {}
        """Controller -> why it is not enabled, empty if it is."""
        self._warned: set[tuple[str, str]] = set()

    def give_up(self, why: str) -> None:
        """There are no cgroups any more; limits that are not applied from now on are told."""
        self._base = None
        self._why = self._why or why
        self._enabled.clear()

    def apply_before_exec(self, path: str, program: Program) -> None:
        """Set what is to hold from the first instant."""
        self._apply(path, program, _BEFORE_EXEC)

    def apply_after_exec(self, path: str, program: Program) -> None:
        """Set what makes a run slow, now that it runs."""
        self._apply(path, program, _AFTER_EXEC)

    def _apply(self, path: str, program: Program, keys: Collection[str]) -> None:
        for key, file in self.usable(program):
            if key not in keys:
                continue
            try:
                write_value(f"{path}/{file}", str(getattr(program, key)))
            except OSError as error:
                self._warn(program, key, f"{path}/{file}: {error.strerror}")

    def usable(self, program: Program) -> list[tuple[str, str]]:
        """Return which limits of a program can be applied, with their files; tell of the others."""
        found = []
        for key, controller, file in _LIMITS:
            if getattr(program, key) is None:
                continue
            if why := self._enable(controller):
                self._warn(program, key, why)
            else:
                found.append((key, file))
        return found

    def _warn(self, program: Program, key: str, why: str) -> None:
        name = program.program or program.name
        if (name, key) not in self._warned:
            self._warned.add((name, key))
            self._report(f"{name}: {key} is not applied: {why}")

    def _enable(self, controller: str) -> str:
        """Enable a controller for the runs; return why that is not possible, or an empty string."""
        if controller not in self._enabled:
            self._enabled[controller] = self._try_to_enable(controller)
        return self._enabled[controller]

    def _try_to_enable(self, controller: str) -> str:
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
                    pids = ", ".join(map(str, cgroup.pids(path)))
                    return f"processes are in {path} itself, where none may be: {pids}"
                return f'cannot enable "{controller}" in {path}: {error.strerror}'
        return ""


def _step_aside(base: Base) -> None:
    """Move the daemon into its leaf: a cgroup with controllers holds cgroups or processes."""
    leaf = f"{base.path}/{LEAF}"
    if not os.path.isdir(leaf):
        os.mkdir(leaf)
    cgroup.join(leaf)
