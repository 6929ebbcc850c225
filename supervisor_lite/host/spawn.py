"""One resolved process -> child: descriptors, user, directory, umask, limits.

The usual path is posix_spawn, a vfork that does not copy the daemon's memory map and reports a
failing exec by itself. What it cannot set (directory, umask, the limit of descriptors) the daemon
sets on itself for that moment: it has one thread, and nothing of it runs in between. A child that
becomes another user, joins a cgroup, or has limits or a place of its own (place.py), takes a real
fork, with every step's failure reported through a pipe.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import signal
import stat
from collections.abc import Mapping
from typing import NamedTuple

from supervisor_lite.errors import SpawnError
from supervisor_lite.host import cgroup, process_attributes, syscalls
from supervisor_lite.host.own_limits import Descriptors, is_nearly_out
from supervisor_lite.host.socket_set import LOWEST
from supervisor_lite.host.users import User, lookup
from supervisor_lite.model.program import Program

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# All dispositions that may be reset; the C library keeps two real-time signals for itself.
DEFAULT_SIGNALS = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
"""What a child gets the default disposition of: all that has one."""


class Channels(NamedTuple):
    """Paths that a child's standard descriptors are opened on.

    FIFOs are opened read-write: the child holds a reader itself, so the daemon's death neither
    kills it by SIGPIPE nor empties the pipe. None is /dev/null.
    """

    stdin: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    stderr_is_stdout: bool = False
    stdin_socket: int | None = None
    """A descriptor that becomes stdin, instead of a path."""
    sockets: tuple[int, ...] = ()
    """Descriptors that the child finds from 3 on (sd_listen_fds(3)); all are above `LOWEST`."""
    socket_names: tuple[str, ...] = ()


class Child(NamedTuple):
    """A spawned process; the pidfd is the caller's to close."""

    pid: int
    pidfd: int
    outside: str = ""
    """Why it is not in the cgroup that it was to join, in words."""


_JOIN = "join its cgroup"
"""The step of a child that may fail: the program runs nevertheless."""


_MOST = 4096
"""Bytes of a report of a failed step: so many are written at once or not at all (pipe(7))."""


class Spawner:
    """Starts children."""

    def __init__(self, descriptors: Descriptors) -> None:
        self._descriptors = descriptors
        self._home = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._found: dict[tuple[str, str | None, str | None], str] = {}

    def check(self) -> None:
        """Raise SpawnError if there are no descriptors left for another program."""
        if is_nearly_out(self._descriptors):
            raise SpawnError("too many open files: raise the limit of descriptors (minfds)")

    def spawn(
        self,
        program: Program,
        environment: Mapping[str, str],
        channels: Channels,
        group: str | None = None,
    ) -> Child:
        """Start one child in a session of its own, and in the cgroup with the directory `group`.

        Raises SpawnError with a reason that an operator understands.
        """
        user = lookup(program.user) if program.user is not None else None
        if user is not None:
            if user.uid != os.geteuid() or (os.geteuid() == 0 and user.uid == 0):
                environment = {**environment, **_user_variables(user, program)}
            if user.uid == os.geteuid() and user.uid != 0:
                user = None  # already who it should be
        key = (program.command[0], environment.get("PATH"), program.directory)
        path = self._found.get(key) or find_command(program, environment)
        try:
            # LISTEN_PID is the child's own pid, which nobody knows before there is a child.
            special = user is not None or channels.sockets or program.placement is not None
            if special or group is not None:
                pid = self._fork(path, program, environment, channels, user, group)
            else:
                pid = self._posix_spawn(path, program, environment, channels)
        except OSError as error:
            if isinstance(error, _StepError) and error.step == _JOIN:
                child = self.spawn(program, environment, channels)
                return child._replace(outside=explain(error, path, program))
            self._found.pop(key, None)
            raise SpawnError(explain(error, path, program)) from error
        self._found[key] = path
        try:
            return Child(pid, os.pidfd_open(pid))
        except OSError as error:
            os.kill(pid, signal.SIGKILL)  # it is our child and not reaped: its pid is its own
            raise SpawnError(explain(error, path, program)) from error

    def _posix_spawn(
        self, path: str, program: Program, environment: Mapping[str, str], channels: Channels
    ) -> int:
        actions: list[tuple[int, int, str, int, int] | tuple[int, int, int]] = [
            (os.POSIX_SPAWN_OPEN, 1, *_opening(channels.stdout, os.O_WRONLY), 0),
        ]
        if channels.stdin_socket is not None:
            actions.append((os.POSIX_SPAWN_DUP2, channels.stdin_socket, 0))
        else:
            actions.append((os.POSIX_SPAWN_OPEN, 0, *_opening(channels.stdin, os.O_RDONLY), 0))
        if channels.stderr_is_stdout:
            actions.append((os.POSIX_SPAWN_DUP2, 1, 2))
        else:
            actions.append((os.POSIX_SPAWN_OPEN, 2, *_opening(channels.stderr, os.O_WRONLY), 0))
        limits = self._descriptors
        umask = None
        if program.directory is not None:
            _enter(program.directory)
        try:
            if program.umask is not None:
                umask = os.umask(program.umask)
            resource.setrlimit(resource.RLIMIT_NOFILE, (limits.children, limits.hard))
            return os.posix_spawn(
                path,
                program.command,
                environment,
                file_actions=actions,
                setsid=True,
                setsigmask=(),
                setsigdef=DEFAULT_SIGNALS,
            )
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limits.soft, limits.hard))
            if umask is not None:
                os.umask(umask)
            if program.directory is not None:
                os.fchdir(self._home)

    def _fork(
        self,
        path: str,
        program: Program,
        environment: Mapping[str, str],
        channels: Channels,
        user: User | None,
        group: str | None,
    ) -> int:
        steps = process_attributes.steps(program.placement)
        report, mine = os.pipe2(os.O_CLOEXEC)
        # No signal may reach the child while it still has the daemon's handlers.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, DEFAULT_SIGNALS)
        try:
            pid = -1
            if group is not None:
                with contextlib.suppress(OSError):  # an old kernel; or join() will tell why
                    pid = syscalls.fork_into_cgroup(group)
                    group = None
            if pid < 0:
                pid = os.fork()
            if pid == 0:
                self._become(path, program, environment, channels, user, group, steps, mine)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(mine)
        try:
            failure = os.read(report, _MOST)  # ends when exec closes the other end
        finally:
            os.close(report)
        if failure:
            os.waitpid(pid, 0)
            number, step = failure.decode(errors="replace").split(" ", 1)
            raise _StepError(int(number), os.strerror(int(number)), step)
        return pid

    def _become(
        self,
        path: str,
        program: Program,
        environment: Mapping[str, str],
        channels: Channels,
        user: User | None,
        group: str | None,
        steps: process_attributes.Steps,
        report: int,
    ) -> None:
        """Turn the forked child into the program; never returns."""
        step = _JOIN
        try:
            if group is not None:
                cgroup.join(group)  # first of all: whatever it does or uses, it does in there
            step = "start a session"
            os.setsid()
            if channels.sockets:
                step = "pass its sockets"
                report = fcntl.fcntl(report, fcntl.F_DUPFD_CLOEXEC, LOWEST)
                environment = {**environment, **_pass_sockets(channels)}
            step = "open its standard descriptors"
            if channels.stdin_socket is not None:
                os.dup2(channels.stdin_socket, 0)
            else:
                _open_as(0, *_opening(channels.stdin, os.O_RDONLY))
            _open_as(1, *_opening(channels.stdout, os.O_WRONLY))
            if channels.stderr_is_stdout:
                os.dup2(1, 2)
            else:
                _open_as(2, *_opening(channels.stderr, os.O_WRONLY))
            step = "set the limit of descriptors"
            limits = self._descriptors
            resource.setrlimit(resource.RLIMIT_NOFILE, (limits.children, limits.hard))
            for words, act in steps.as_daemon:
                step = words
                act()
            if user is not None:
                step = f'become the user "{user.name}"'
                os.setgroups(user.groups)
                os.setgid(user.gid)
                os.setuid(user.uid)
            if program.directory is not None:
                step = f'enter the directory "{program.directory}"'
                os.chdir(program.directory)
            if program.umask is not None:
                os.umask(program.umask)
            for words, act in steps.as_user:
                step = words
                act()
            for number in DEFAULT_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            step = ""
            os.execve(path, program.command, environment)
        except (OSError, MemoryError) as error:
            # Memory may be out here only because of a limit that was just set.
            code = errno.ENOMEM if isinstance(error, MemoryError) else error.errno
            os.write(report, f"{code} {step}".encode(errors="backslashreplace")[:_MOST])
        finally:
            os._exit(127)


def _pass_sockets(channels: Channels) -> dict[str, str]:
    """Put the sockets where the child looks for them; return what tells it of them."""
    for number, fd in enumerate(channels.sockets, 3):
        os.dup2(fd, number)
    return {
        "LISTEN_PID": str(os.getpid()),
        "LISTEN_FDS": str(len(channels.sockets)),
        "LISTEN_FDNAMES": ":".join(channels.socket_names),
    }


class _StepError(OSError):
    """A step in the child between fork and exec failed; `filename` is the step in words."""

    def __init__(self, number: int, text: str, step: str) -> None:
        super().__init__(number, text)
        self.step = step


class _DirectoryError(OSError):
    """The working directory cannot be entered."""


def _enter(directory: str) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        raise _DirectoryError(error.errno, error.strerror) from error


def _opening(path: str | None, direction: int) -> tuple[str, int]:
    """Return what to open for a standard descriptor, and how."""
    return ("/dev/null", direction) if path is None else (path, os.O_RDWR)


def _open_as(number: int, path: str, flags: int) -> None:
    opened = os.open(path, flags)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    else:
        os.set_inheritable(number, True)


def _user_variables(user: User, program: Program) -> dict[str, str]:
    """Return HOME, USER and LOGNAME of the user, unless the program sets them itself."""
    values = {"HOME": user.home, "USER": user.name, "LOGNAME": user.name}
    return {name: value for name, value in values.items() if name not in program.environment}


def find_command(program: Program, environment: Mapping[str, str]) -> str:
    """Return the absolute path of the program's file.

    A first word with a slash is relative to `directory`, else to the daemon's; one without is
    searched in the child's PATH. Raises SpawnError if nothing executable is found.
    """
    word = program.command[0]
    if "/" in word:
        candidates = [os.path.abspath(word)]
        if program.directory is not None and not os.path.isabs(word):
            candidates.insert(0, os.path.join(program.directory, word))
    else:
        path = environment.get("PATH", DEFAULT_PATH)
        places = [
            process_attributes
            for process_attributes in path.split(os.pathsep)
            if process_attributes
        ]
        candidates = [os.path.join(process_attributes, word) for process_attributes in places]
    blocked = ""
    for candidate in candidates:
        try:
            mode = os.stat(candidate).st_mode
        except OSError as error:
            if error.errno == errno.EACCES:
                blocked = blocked or f'no permission to run the command "{candidate}"'
            continue
        if stat.S_ISDIR(mode):
            blocked = blocked or f'the command "{candidate}" is a directory'
        elif not mode & 0o111:
            blocked = blocked or f'the command "{candidate}" is not executable'
        elif program.user is None and not os.access(candidate, os.X_OK):
            blocked = blocked or f'no permission to run the command "{candidate}"'
        else:
            return candidate
    raise SpawnError(blocked or f'cannot find the command "{word}"')


def explain(error: OSError, path: str, program: Program) -> str:
    """Return the reason why a child could not be started, in words."""
    cause = os.strerror(error.errno) if error.errno else str(error)
    if isinstance(error, _DirectoryError):
        return f'cannot enter the directory "{program.directory}": {cause}'
    if isinstance(error, _StepError) and error.step:
        return f"cannot {error.step}: {cause}"
    match error.errno:
        case errno.ENOENT:
            interpreter = _interpreter(path)
            if interpreter:
                return f'the interpreter "{interpreter}" of "{path}" does not exist'
            return f'cannot find the command "{path}"'
        case errno.ENOEXEC:
            return f'cannot run "{path}": no program and no script with a #! line'
        case errno.EAGAIN:
            return f'cannot fork for "{path}": too many processes'
        case errno.ENOMEM:
            return f'cannot fork for "{path}": no memory'
        case errno.EMFILE | errno.ENFILE:
            return f'cannot spawn "{path}": too many open files'
        case _:
            return f'cannot run "{path}": {cause}'


def _interpreter(path: str) -> str:
    """Return the interpreter that a script names in its first line, or an empty string."""
    try:
        with open(path, "rb") as file:
            first = file.readline(256)
    except OSError:
        return ""
    words = first[2:].split() if first.startswith(b"#!") else []
    return words[0].decode(errors="replace") if words else ""
