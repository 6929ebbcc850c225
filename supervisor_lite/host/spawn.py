"""One resolved process -> child: descriptors, user, directory, umask, limits.

The usual path is posix_spawn(3), a vfork that does not copy the daemon's memory map and reports a
failing exec by itself. What it cannot set (directory, umask, the limit of descriptors) the daemon
sets on itself for that moment: it has one thread, and nothing of it runs in between. A child that
becomes another user, joins a cgroup, or has sockets, limits or attributes of its own takes a real
fork (fork.py).
"""

from __future__ import annotations

import os
import resource
import signal
from typing import NamedTuple

from supervisor_lite.errors import SpawnError, SpawnErrorCode
from supervisor_lite.host.command import exec_failure, find_command, no_entry
from supervisor_lite.host.fork import PATIENCE, Forked, entering, fork_and_exec
from supervisor_lite.host.limit_mark import mark_of, marking, unmark
from supervisor_lite.host.own_limits import Descriptors, is_nearly_out, set_child_descriptors
from supervisor_lite.host.procfs import RUN_VARIABLE
from supervisor_lite.host.signals import DEFAULT_SIGNALS
from supervisor_lite.host.spawn_request import SpawnRequest, standard_descriptors
from supervisor_lite.host.step import StepError
from supervisor_lite.host.users import lookup
from supervisor_lite.model.program import Program
from supervisor_lite.users import User

_IMPATIENCE = 0.05
"""Seconds for a command that has taken too long last time: its user may mean to hold us up."""


class Child(NamedTuple):
    """A spawned process; the pidfd is the caller's to close."""

    pid: int
    pidfd: int
    outside: str = ""
    """Why it is not in the cgroup that it was to join, in words."""
    late: bool = False
    """It is not its program yet, and nobody knows when it will be (fork.py)."""


class Spawner:
    """Starts children."""

    def __init__(self, limits: Descriptors) -> None:
        self._limits = limits
        unmark()
        self._home = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._found: dict[tuple[str, str | None, str | None], str] = {}
        """Paths of commands that ran last time, by first word, PATH and directory."""
        self._late: set[str] = set()
        """Paths of commands that took too long last time."""

    def check(self) -> None:
        """Raise SpawnError if there are no descriptors left for another program."""
        if is_nearly_out(self._limits):
            raise SpawnError(
                "too many open files: raise the limit of descriptors (minfds)",
                SpawnErrorCode.NO_RESOURCES,
            )

    def spawn(self, request: SpawnRequest) -> Child:
        """Start one child in a session of its own.

        Raises SpawnError with a reason that an operator understands.
        """
        program = request.program
        user = lookup(program.user) if program.user is not None else None
        if user is not None:
            if user.uid != os.geteuid() or user.uid == 0:
                variables = _user_variables(user, program)
                request = request._replace(environment={**request.environment, **variables})
            if user.uid == os.geteuid() != 0:
                user = None  # already who it should be
        key = (program.command[0], request.environment.get("PATH"), program.directory)
        path = self._found.get(key) or find_command(program, request.environment)
        try:
            child = self._start(request, path, user)
        except SpawnError:
            self._found.pop(key, None)
            raise
        self._found[key] = path
        (self._late.add if child.late else self._late.discard)(path)
        return child

    def _start(self, request: SpawnRequest, path: str, user: User | None) -> Child:
        outside = ""
        try:
            with marking(_mark_of(request)):
                pid, late = self._fork(request, path, user)
        except StepError as error:
            failure = _failure(error, user)
            if error.step.required:
                raise failure from error
            outside = str(failure)
        except OSError as error:
            raise exec_failure(error, path, user) from error
        if outside:
            return self._start(request._replace(cgroup=None), path, user)._replace(outside=outside)
        try:
            return Child(pid, os.pidfd_open(pid), late=late)
        except OSError as error:
            os.kill(pid, signal.SIGKILL)  # it is our child and not reaped: its pid is its own
            raise exec_failure(error, path) from error

    def _fork(self, request: SpawnRequest, path: str, user: User | None) -> Forked:
        # LISTEN_PID is the child's own pid, which nobody knows before there is a child.
        special = user is not None or request.channels.sockets
        if special or request.program.placement is not None or request.cgroup is not None:
            patience = _IMPATIENCE if path in self._late else PATIENCE
            return fork_and_exec(request, path, user, self._limits, patience)
        return Forked(self._posix_spawn(request, path))

    def _posix_spawn(self, request: SpawnRequest, path: str) -> int:
        """Start a child that needs nothing but what can be inherited; return its pid."""
        actions: list[tuple[int, int, str, int, int] | tuple[int, int, int]] = [
            (os.POSIX_SPAWN_DUP2, source, number)
            if isinstance(source, int)
            else (os.POSIX_SPAWN_OPEN, number, *source, 0)
            for number, source in enumerate(standard_descriptors(request.channels))
        ]
        program = request.program
        umask = os.umask(program.umask) if program.umask is not None else None
        try:
            if program.directory is not None:
                entering(program.directory).perform()
            set_child_descriptors(self._limits)
            return os.posix_spawn(
                path,
                program.command,
                request.environment,
                file_actions=actions,
                setsid=True,
                setsigmask=(),
                setsigdef=DEFAULT_SIGNALS,
            )
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self._limits.soft, self._limits.hard))
            if umask is not None:
                os.umask(umask)
            if program.directory is not None:
                os.fchdir(self._home)


def _failure(error: StepError, user: User | None) -> SpawnError:
    """Return why a child could not become its program."""
    step, number = error.step, error.errno or 0
    if step.code is SpawnErrorCode.DIRECTORY:
        return no_entry(step.name, number, user)
    return error.as_spawn_error()


def _mark_of(request: SpawnRequest) -> int | None:
    """Return what marks the run; who lives in its cgroup needs no mark."""
    marker = request.environment.get(RUN_VARIABLE)
    return mark_of(marker) if marker is not None and request.cgroup is None else None


def _user_variables(user: User, program: Program) -> dict[str, str]:
    """Return HOME, USER and LOGNAME of the user, unless the program sets them itself."""
    values = {"HOME": user.home, "USER": user.name, "LOGNAME": user.name}
    return {name: value for name, value in values.items() if name not in program.environment}
