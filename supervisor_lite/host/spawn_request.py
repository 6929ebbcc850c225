"""What a child is to be: everything that is settled before there is one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from supervisor_lite.model.program import Program


class Channels(NamedTuple):
    """What a child's standard descriptors are; stdout and stderr are paths, to be opened anew.

    FIFOs are opened read-write: the child holds a reader itself, so the daemon's death neither
    kills it by SIGPIPE nor empties the pipe. None is /dev/null.
    """

    stdin: int | None = None
    """A descriptor that becomes stdin: the reading end of a FIFO, or a socket."""
    stdout: str | None = None
    stderr: str | None = None
    stderr_is_stdout: bool = False
    sockets: tuple[int, ...] = ()
    """Descriptors that the child finds from 3 on (sd_listen_fds(3)).

    All are at or above `LOWEST_SOCKET` of listen_socket.py.
    """
    socket_names: tuple[str, ...] = ()


class SpawnRequest(NamedTuple):
    """One child that is to be started."""

    program: Program
    environment: Mapping[str, str]
    """The child's whole environment, but for what depends on its user and its pid."""
    channels: Channels
    cgroup: str | None = None
    """The directory of the cgroup that it is to begin its life in."""


Source: TypeAlias = int | tuple[str, int]
"""Where a descriptor comes from: another one, or what to open and with which flags (open(2))."""


def standard_descriptors(channels: Channels) -> tuple[Source, Source, Source]:
    """Return what stdin, stdout and stderr of a child are; to be made in this order."""
    stdin, stderr = channels.stdin, 1 if channels.stderr_is_stdout else None
    return (
        stdin if stdin is not None else _opening(None, os.O_RDONLY),
        _opening(channels.stdout, os.O_WRONLY),
        stderr if stderr is not None else _opening(channels.stderr, os.O_WRONLY),
    )


def _opening(path: str | None, direction: int) -> tuple[str, int]:
    return ("/dev/null", direction) if path is None else (path, os.O_RDWR)
