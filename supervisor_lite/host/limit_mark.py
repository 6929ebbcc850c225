"""A mark of a run that its processes inherit and do not lose: in a resource limit without effect.

A process that makes a daemon of itself leaves its session, its parent and its descriptors, and one
that is started by `env -i` or by sudo has another environment. Resource limits are what nobody
touches on that way: they go through fork and exec (getrlimit(2)). Linux has one that it does not
use: RLIMIT_LOCKS, of Linux 2.4. Its soft value is the mark of the run, so large that it would not
limit anything if it did; the hard one is as it was.

It says which run a process is of, like the run identity in the environment, and proves as little:
a process can set its own. A login (pam_limits) resets it, and a container runtime may have taken
the right to set it: then the run has no mark, and is known by the rest.
"""

from __future__ import annotations

import contextlib
import os
import resource
from binascii import crc32
from collections.abc import Iterator

_LIMIT = 10
"""RLIMIT_LOCKS, the same number on all architectures; Python has no name for it."""
_FIRST = 1 << 62
"""No mark is lower, and no limit that means anything is higher."""
_RUN_BITS = 40
_INSTANCE_MASK = (1 << 21) - 1


def mark_of(marker: str) -> int:
    """Return the mark of a run by its identity in the environment ("INSTANCE:NUMBER")."""
    instance, _, number = marker.rpartition(":")
    name = crc32(instance.encode()) & _INSTANCE_MASK
    return _FIRST | name << _RUN_BITS | int(number) & ((1 << _RUN_BITS) - 1)


def unmark() -> None:
    """Take off the mark that this process has itself, if it was started by a supervised one."""
    soft, hard = resource.getrlimit(_LIMIT)
    if soft >= _FIRST:
        resource.setrlimit(_LIMIT, (hard, hard))


@contextlib.contextmanager
def marking(mark: int | None) -> Iterator[None]:
    """Have the mark, so that a child which is spawned meanwhile inherits it; 2 microseconds."""
    if mark is None:
        yield
        return
    before = resource.getrlimit(_LIMIT)
    with contextlib.suppress(OSError, ValueError, OverflowError):  # not ours to set
        resource.setrlimit(_LIMIT, (mark, before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(_LIMIT, before)


def read_mark(pid: int) -> int | None:
    """Return the mark of a process; None if it has none, or is gone."""
    try:
        soft = resource.prlimit(pid, _LIMIT)[0]
    except PermissionError:
        # The kernel wants the same user or CAP_SYS_RESOURCE for what everybody may read here. A
        # daemon of a user has no use for it: it could not signal the process either.
        soft = _read_from_proc(pid) if os.geteuid() == 0 else 0
    except OSError:
        return None
    return soft if soft >= _FIRST else None


def _read_from_proc(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/limits", "rb", buffering=0) as file:
            data = file.read(4096)
    except OSError:
        return 0
    at = data.find(b"\nMax file locks")
    word = data[at + 26 : at + 47].strip() if at >= 0 else b""
    return int(word) if word.isdigit() else 0
