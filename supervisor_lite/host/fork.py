"""Start a child by fork and exec, with whatever it has to do to itself in between.

What has to be allocated or looked up is done before the fork; the child only walks down a list of
steps. If one fails it writes the number of the step and the errno into a pipe, which exec would
have closed, and the daemon, which has the same list, knows what could not be done.

It is not waited for without end: from the moment the child is another user it is in the hands of
that user, who can stop it (SIGSTOP) or have the kernel make it wait for a file (a lease, fcntl(2)).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
from functools import partial
from typing import Final, NamedTuple, NoReturn

from supervisor_lite.errors import SpawnErrorCode
from supervisor_lite.host import cgroup, process_attributes, syscalls
from supervisor_lite.host.listen_socket import LOWEST_SOCKET
from supervisor_lite.host.own_limits import Descriptors, set_child_descriptors
from supervisor_lite.host.signals import DEFAULT_SIGNALS
from supervisor_lite.host.spawn_request import (
    Channels,
    Source,
    SpawnRequest,
    standard_descriptors,
)
from supervisor_lite.host.step import Step, StepError, number_of
from supervisor_lite.host.users import not_root_hint
from supervisor_lite.users import User, become

_REPORT = struct.Struct("=ii")
"""The number of the step that failed, or how many there are if exec did, and the errno."""

PATIENCE: Final = 2.0
"""Seconds in which a child becomes its program; a machine that is busy takes a tenth of it."""


class Forked(NamedTuple):
    """A child that is its program, or will be."""

    pid: int
    late: bool = False
    """It has not become its program in time. If it cannot, it ends with exit code 127."""


def fork_and_exec(
    request: SpawnRequest,
    path: str,
    user: User | None,
    limits: Descriptors,
    patience: float = PATIENCE,
) -> Forked:
    """Start a child as asked for, as this user.

    Raises StepError if a step failed, OSError if fork or exec did.
    """
    environment = dict(request.environment)
    steps = steps_of(request, environment, user, limits)
    command = request.program.command
    reader, writer = _report_pipe(above_sockets=bool(request.channels.sockets))
    # No signal may reach the child while it still has the daemon's handlers.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, DEFAULT_SIGNALS)
    try:
        pid = _into_cgroup(request.cgroup)
        if pid < 0:
            if request.cgroup is not None:
                steps.insert(0, _joining(request.cgroup))
            pid = os.fork()
        if pid == 0:
            _become_program(steps, partial(os.execve, path, command, environment), writer)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(writer)
    try:
        if not _has_reported(reader, patience):
            return Forked(pid, late=True)
        report = os.read(reader, _REPORT.size)  # empty if exec has closed the other end
    finally:
        os.close(reader)
    if report:
        os.waitpid(pid, 0)
        place, number = _REPORT.unpack(report)
        if place < len(steps):
            raise StepError(steps[place], number)
        raise OSError(number, os.strerror(number))
    return Forked(pid)


def _has_reported(reader: int, patience: float) -> bool:
    """Wait until a child is its program, or has told why it is not; False if it takes too long."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    return bool(poll.poll(patience * 1000))


def _report_pipe(*, above_sockets: bool) -> tuple[int, int]:
    """Return a pipe whose writing end is no descriptor that a child gets a socket on."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    if not above_sockets:
        return reader, writer
    try:
        return reader, fcntl.fcntl(writer, fcntl.F_DUPFD_CLOEXEC, LOWEST_SOCKET)
    except OSError:
        os.close(reader)
        raise
    finally:
        os.close(writer)


def _into_cgroup(path: str | None) -> int:
    """Fork a child in a cgroup; return its pid, 0 in the child, -1 if that is not possible.

    It spares the child the wait of up to 15 ms for all CPUs that moving a process takes, and us
    the wait for the child.
    """
    if path is not None:
        with contextlib.suppress(OSError):  # an old kernel; or join() will tell why
            return syscalls.fork_into_cgroup(path)
    return -1


def _joining(path: str) -> Step:
    """First of all steps: whatever the child does or uses, it does in there."""
    return Step("join its cgroup", partial(cgroup.join, path), name=path, required=False)


def _become_program(steps: list[Step], execute: partial[NoReturn], report: int) -> NoReturn:
    """Turn the forked child into the program."""
    place = 0
    try:
        for step in steps:
            step.act()
            place += 1
        execute()
    except (OSError, MemoryError) as error:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # nobody may be waiting for it any more
        os.write(report, _REPORT.pack(place, number_of(error)))
    finally:
        os._exit(127)


def steps_of(
    request: SpawnRequest, environment: dict[str, str], user: User | None, limits: Descriptors
) -> list[Step]:
    """Return what a child has to do to itself, in order; `environment` is what it will have."""
    program, channels = request.program, request.channels
    attributes = process_attributes.steps(program.placement)
    steps = [Step("start a session", os.setsid)]
    opening = partial(_open_all, standard_descriptors(channels))
    steps.append(Step("open its standard descriptors", opening, SpawnErrorCode.OUTPUT))
    if channels.sockets:  # from here on, the daemon's descriptors from 3 on are not there any more
        act = partial(_pass_sockets, channels, environment)
        steps.append(Step("pass its sockets", act, SpawnErrorCode.SOCKET))
    steps.append(Step("set the limit of descriptors", partial(set_child_descriptors, limits)))
    steps += attributes.as_daemon
    if user is not None:
        words, hint = f'become the user "{user.name}"', not_root_hint()
        steps.append(Step(words, partial(become, user), name=user.name, hint=hint))
    if program.directory is not None:
        steps.append(entering(program.directory))
    if program.umask is not None:
        steps.append(Step("set the umask", partial(os.umask, program.umask)))
    steps += attributes.as_user
    steps.append(Step("reset its signals", _reset_signals))
    return steps


def entering(directory: str) -> Step:
    """Return the step into the working directory."""
    words = f'enter the directory "{directory}"'
    return Step(words, partial(os.chdir, directory), SpawnErrorCode.DIRECTORY, directory)


def _pass_sockets(channels: Channels, environment: dict[str, str]) -> None:
    """Put the sockets where the child looks for them, and tell it of them (sd_listen_fds(3))."""
    for number, fd in enumerate(channels.sockets, 3):
        os.dup2(fd, number)
    environment["LISTEN_PID"] = str(os.getpid())
    environment["LISTEN_FDS"] = str(len(channels.sockets))
    environment["LISTEN_FDNAMES"] = ":".join(channels.socket_names)


def _open_all(sources: tuple[Source, ...]) -> None:
    """Make the standard descriptors."""
    for number, source in enumerate(sources):
        if isinstance(source, int):
            os.dup2(source, number)
            continue
        opened = os.open(*source)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        else:
            os.set_inheritable(number, True)


def _reset_signals() -> None:
    """Give every signal its default meaning, and block none."""
    for number in DEFAULT_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
