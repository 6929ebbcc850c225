"""The pipes that a live process writes to or reads from, when their names are gone.

A FIFO lives as long as somebody has it open, whatever becomes of its name: the directory was
removed, or the daemon that made it worked in another one. Whoever may trace the process can open it
again by /proc/PID/fd (proc_pid_fd(5)). What is taken there is a FIFO with the very name that we
give, in a directory with the name that we give: everything else is none of ours.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

_DELETED = " (deleted)"
"""How the kernel marks the path of what has no name any more."""


def is_open_in(pid: int, path: str, number: int) -> bool:
    """Is this descriptor of the process the file that is at `path` now?"""
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/fd/{number}"), os.lstat(path))
    except OSError:
        return False


def open_live(pids: Iterable[int], path: str, flags: int) -> int | None:
    """Open the FIFO that was made as `path`, out of the first of these processes that has it.

    The directory above its own may be another one than in `path`. None if none of them has it open.
    Raises OSError if that cannot be found out, or it cannot be opened.
    """
    wanted = path.rsplit("/", 2)[-2:]
    refused: OSError | None = None
    for pid in pids:
        try:
            for link in _links(pid):
                fd = _open_named(link, wanted, flags)
                if fd is not None:
                    return fd
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        except OSError as error:
            refused = error
    if refused is not None:
        raise refused
    return None


def _links(pid: int) -> list[str]:
    """Return the descriptors of a process, the standard ones first. Raises OSError."""
    directory = f"/proc/{pid}/fd"
    return [f"{directory}/{name}" for name in sorted(os.listdir(directory), key=int)]


def _open_named(link: str, wanted: list[str], flags: int) -> int | None:
    """Open what a descriptor leads to, if it is a FIFO with these last parts of a path."""
    try:
        if os.readlink(link).removesuffix(_DELETED).rsplit("/", 2)[-2:] != wanted:
            return None
        # The process may exchange it at any moment: looked at before it is opened.
        pinned = os.open(link, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if not stat.S_ISFIFO(os.fstat(pinned).st_mode):
            return None
        return os.open(f"/proc/self/fd/{pinned}", flags | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(pinned)
