"""What one daemon process hands to the next besides the journal: open descriptors.

In an upgrade the daemon executes itself anew (execve(2)): same pid, same children; the listening
socket, the locks and the FIFOs stay open, so no client is refused and no output is lost. Under
systemd the same descriptors are kept in the service's store (sd_pid_notify_with_fds(3)), which
also covers a daemon that was killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

VARIABLE = "SUPERVISOR_LITE_HANDOVER"
_BLOCKED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1,
            signal.SIGUSR2)  # fmt: skip


@dataclass(slots=True)
class Handed:
    """What we were handed; everything unset at a first start."""

    socket: int | None = None
    locks: list[int] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    """Descriptors that only have to stay open until their FIFOs have been opened again."""
    pidfds: dict[int, int] = field(default_factory=dict)
    """Main processes by run id, also of those that have ended meanwhile."""
    stored: set[str] = field(default_factory=set)
    """Names under which systemd keeps descriptors for us."""
    children_nofile: int | None = None
    """The soft limit of descriptors that children get."""
    upgrade: bool = False
    listeners: dict[str, Any] | None = None
    """What event listeners are doing, and the events that wait for them."""

    def release(self) -> None:
        """Close what was only held; called when everything is adopted."""
        for fd in (*self.held, *self.pidfds.values()):
            os.close(fd)
        self.held.clear()
        self.pidfds.clear()


def receive() -> Handed:
    """Take what the process before us, or systemd, handed to us out of the environment."""
    number = os.environ.pop(VARIABLE, None)
    if number is not None:
        with os.fdopen(int(number), "r", encoding="utf-8") as file:
            file.seek(0)
            values = json.load(file)
        return Handed(
            socket=values["socket"],
            locks=values["locks"],
            held=values["held"],
            children_nofile=values["children_nofile"],
            upgrade=True,
            listeners=values.get("listeners"),
        )
    return _from_store(os.environ)


def _from_store(environment: Mapping[str, str]) -> Handed:
    """Read the names of stored descriptors (sd_listen_fds_with_names(3))."""
    handed = Handed()
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return handed
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    for index in range(int(environment.get("LISTEN_FDS", "0"))):
        fd = 3 + index
        name = names[index] if index < len(names) else ""
        handed.stored.add(name)
        if name.startswith("run-") and name[4:].isdecimal():
            if int(name[4:]) in handed.pidfds:
                os.close(fd)
            else:
                handed.pidfds[int(name[4:])] = fd
        else:
            handed.held.append(fd)
    return handed


class Parting(NamedTuple):
    """What the new version of ourselves gets."""

    socket: int
    locks: list[int]
    held: list[int]
    children_nofile: int
    environment: dict[str, str]
    directory: str
    """Where we were started: relative paths on the command line are meant from there."""
    listeners: dict[str, Any] | None = None
    """What event listeners are doing, and the events that wait for them."""


def execute(parting: Parting) -> None:
    """Become the new version of ourselves; returns only by raising OSError.

    Signals wait, blocked, until the new one has its handlers.
    """
    state = os.memfd_create("handover", 0)
    values = {
        "socket": parting.socket,
        "locks": parting.locks,
        "held": parting.held,
        "children_nofile": parting.children_nofile,
        "listeners": parting.listeners,
    }
    os.write(state, json.dumps(values).encode())
    kept = [state, parting.socket, *parting.locks, *parting.held]
    block()
    try:
        for fd in kept:
            os.set_inheritable(fd, True)
        here = os.getcwd()
        os.chdir(parting.directory)
        try:
            os.execve(sys.executable, command(), {**parting.environment, VARIABLE: str(state)})
        finally:
            os.chdir(here)
    finally:
        for fd in kept:
            os.set_inheritable(fd, False)
        os.close(state)
        unblock()


def block() -> None:
    """Let signals wait until `unblock`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)


def unblock() -> None:
    """Let the signals in that waited; called when their handlers are there."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _BLOCKED)


def command(*more: str) -> list[str]:
    """Return the command line that started us, for a process in the foreground."""
    words = [word for word in sys.orig_argv if word != "--daemonize"]
    return [sys.executable, *words[1:], *more]
