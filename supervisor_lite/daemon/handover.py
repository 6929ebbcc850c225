"""What one daemon process hands to the next besides the journal: open descriptors.

In an upgrade the daemon executes itself anew (execve(2)): same pid, same children; the listening
socket, the locks and the FIFOs stay open, so no client is refused and no output is lost. Their
numbers, and what event listeners are doing, go through a memfd whose number is in the environment:

    SUPERVISOR_LITE_HANDOVER=<descriptor of a memfd with a JSON object>
    {"socket": 7, "locks": [5, 6], "held": [9, 11], "children_nofile": 1024, "listeners": {…}}

Under systemd the same descriptors are kept in the service's store (sd_pid_notify_with_fds(3)),
which also covers a daemon that was killed. The next daemon gets them by name (LISTEN_FDNAMES):
`run-<run id>` is the pidfd of a main process, everything else a FIFO or a socket.

The old daemon hands over to the new one, and either may be any version: names in the JSON object
and of descriptors never change their meaning, and what is new must be optional.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from supervisor_lite.daemon import going_back
from supervisor_lite.text import sanitize

VARIABLE = "SUPERVISOR_LITE_HANDOVER"
_RUN = "run-"
_BLOCKED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR2)


_MAX_DIGITS = 10
"""Of a number of descriptors."""
_MAX_SHOWN = 200
"""Characters of a variable that makes no sense."""

_words: list[str] = []
"""The command line of the daemon, where it is not our own: we were gone back to."""


class Inherited:
    """What the daemon before us, or systemd, has left to us; nothing at a first start."""

    __slots__ = (
        "children_nofile", "failed", "held", "listeners", "locks", "nohup", "pidfds", "socket",
        "stored", "upgraded",
    )  # fmt: skip

    def __init__(self) -> None:
        self.upgraded = False
        """We are the new version of a daemon that has executed us: our children are its own."""
        self.failed = ""
        """Why the version to which we were upgraded could not serve: we were gone back to."""
        self.socket: int | None = None
        """The control socket, listening."""
        self.locks: list[int] = []
        self.held: list[int] = []
        """Descriptors of FIFOs and sockets: to be kept open until they have been taken over."""
        self.pidfds: dict[int, int] = {}
        """Main processes by run id, also of those that have ended meanwhile."""
        self.stored: set[str] = set()
        """Names under which systemd keeps descriptors for us."""
        self.nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        """SIGHUP was ignored when the daemon was started (nohup(1))."""
        self.children_nofile: int | None = None
        """The soft limit of descriptors that children get."""
        self.listeners: dict[str, Any] | None = None
        """What event listeners are doing, and the events that wait for them."""

    def close_held(self) -> None:
        """Close what had to stay open until the adoption was done."""
        for fd in (*self.held, *self.pidfds.values()):
            os.close(fd)
        self.held.clear()
        self.pidfds.clear()


def inherit() -> Inherited:
    """Take what was left to us out of the environment; what makes no sense there is ignored."""
    number = os.environ.pop(VARIABLE, None)
    if number is None:
        return _from_store(os.environ)
    try:
        values = _handed_over(number)
    except (ValueError, OSError):
        _ignore(f"{VARIABLE}={number}: no daemon has handed anything over there")
        return Inherited()
    inherited = Inherited()
    inherited.upgraded = True
    inherited.socket = values["socket"]
    inherited.locks = values["locks"]
    inherited.held = values["held"]
    inherited.children_nofile = values["children_nofile"]
    inherited.listeners = values.get("listeners")
    inherited.nohup = values.get("nohup", inherited.nohup)
    if failed := values.get("failed"):
        inherited.failed = f"version {failed['version']} cannot serve: {failed['reason']}"
        _words[:] = values["words"]
    going_back.prepare(values, VARIABLE)
    return inherited


def _handed_over(number: str) -> dict[str, Any]:
    """Return what is in the memfd with this number. Raises ValueError, OSError."""
    place = f"/proc/self/fd/{number}"
    if not number.isdecimal() or not os.readlink(place).startswith("/memfd:"):
        raise ValueError(number)
    with open(int(number), encoding="utf-8", closefd=False) as file:
        file.seek(0)
        values: dict[str, Any] = json.load(file)
    if not isinstance(values, dict) or not {"socket", "locks", "held"} <= values.keys():
        raise ValueError(number)
    os.close(int(number))
    return values


def _from_store(environment: Mapping[str, str]) -> Inherited:
    """Read the names of stored descriptors (sd_listen_fds_with_names(3))."""
    inherited = Inherited()
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return inherited
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    count = environment.get("LISTEN_FDS", "0")
    if not (count.isascii() and count.isdecimal() and len(count) < _MAX_DIGITS):
        _ignore(f"LISTEN_FDS={count}: not a number of descriptors")
        return inherited
    for index in range(int(count)):
        fd = 3 + index
        if not _is_open(fd):
            _ignore(f"LISTEN_FDS={count}: only {index} descriptors are open")
            break
        name = names[index] if index < len(names) else ""
        inherited.stored.add(name)
        run = name.removeprefix(_RUN)
        if not name.startswith(_RUN) or not run.isdecimal():
            inherited.held.append(fd)
        elif int(run) in inherited.pidfds:
            os.close(fd)
        else:
            inherited.pidfds[int(run)] = fd
    return inherited


def _is_open(fd: int) -> bool:
    """Is there a descriptor of this number?"""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _ignore(text: str) -> None:
    """Say that something in our environment is taken for a mistake of whoever started us."""
    from supervisor_lite.logs.outlet import tell  # asyncio comes with it: not before it is needed

    tell(f"supervisor-lite: warning: ignored {sanitize(text[:_MAX_SHOWN])}\n")


class UpgradeState(NamedTuple):
    """What the new version of ourselves gets."""

    socket: int
    locks: list[int]
    held: list[int]
    children_nofile: int
    listeners: dict[str, Any] | None
    """What event listeners are doing, and the events that wait for them."""
    nohup: bool = False
    """SIGHUP was ignored when the daemon was started."""
    fallback: dict[str, str] | None = None
    """Where the code of the old version is, for when the new one fails (going_back.py)."""
    words: list[str] = []  # noqa: RUF012 it is never changed
    """The command line of the old version."""


def reexec(state: UpgradeState, environment: Mapping[str, str], directory: str) -> None:
    """Become the new version of ourselves; return only by raising OSError, with all as before.

    `directory` is where we were started: relative paths on the command line are meant from there.
    Signals wait, blocked, until the new version has its handlers.
    """
    memory = os.memfd_create("handover", 0)
    os.write(memory, json.dumps(state._asdict()).encode())
    passed = [memory, state.socket, *state.locks, *state.held]
    block_signals()
    try:
        for fd in passed:
            os.set_inheritable(fd, True)
        here = os.getcwd()
        os.chdir(directory)
        try:
            os.execve(sys.executable, own_command(), {**environment, VARIABLE: str(memory)})
        finally:
            os.chdir(here)
    finally:
        for fd in passed:
            os.set_inheritable(fd, False)
        os.close(memory)
        unblock_signals()


def block_signals() -> None:
    """Let the signals that we handle wait until `unblock_signals`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)


def unblock_signals() -> None:
    """Deliver the signals that waited; called when their handlers are there."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _BLOCKED)


def own_words() -> list[str]:
    """Return the command line by which the daemon was started, whatever version it was."""
    return _words or sys.orig_argv


def own_command(*more: str) -> list[str]:
    """Return the command line that started us, for a process in the foreground."""
    words = [word for word in own_words() if word != "--daemonize"]
    return [sys.executable, *words[1:], *more]
