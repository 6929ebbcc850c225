"""Put a child in its place between fork and exec: limits, niceness, CPUs, OOM score, privileges.

What has to be allocated or looked up is done before the fork. A limit of memory counts for the
forked copy of the daemon, too, so limits come last of what needs the daemon's rights.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import NamedTuple

from supervisor_lite.model.process_attributes import ProcessAttributes, ResourceLimit

Step = tuple[str, Callable[[], object]]
"""What is done, in words that follow "cannot", and what does it; it raises OSError."""

_PR_SET_NO_NEW_PRIVS = 38
_FEW = 8
_OOM_SCORE_ADJ = "/proc/self/oom_score_adj"

_RTTIME = 15
"""The kernel's number; not every Python has a name for it."""


class Steps(NamedTuple):
    """What a child does to itself."""

    as_daemon: tuple[Step, ...] = ()
    """Before it changes its user."""
    as_user: tuple[Step, ...] = ()


def steps(placement: ProcessAttributes | None) -> Steps:
    """Return what a child has to do to be placed like this."""
    if placement is None:
        return Steps()
    first: list[Step] = []
    if placement.cpu_affinity is not None:
        words = f"run on CPU {_listed(placement.cpu_affinity)}"
        usable = os.sched_getaffinity(0)
        if usable.isdisjoint(placement.cpu_affinity):
            words += f" (the daemon runs on {_listed(sorted(usable))})"
        first.append((words, partial(os.sched_setaffinity, 0, placement.cpu_affinity)))
    if placement.nice is not None:
        words = f"set nice to {placement.nice}"
        first.append((words, partial(os.setpriority, os.PRIO_PROCESS, 0, placement.nice)))
    if placement.oom_score_adj is not None:
        words = f"set oom_score_adj to {placement.oom_score_adj}"
        first.append((words, partial(_write, _OOM_SCORE_ADJ, b"%d" % placement.oom_score_adj)))
    first.extend(map(_limiting, placement.rlimits))
    last: list[Step] = []
    if placement.no_new_privileges:
        last.append(("set no_new_privileges", partial(_no_new_privileges, _libc())))
    return Steps(tuple(first), tuple(last))


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _limiting(limit: ResourceLimit) -> Step:
    number = getattr(resource, f"RLIMIT_{limit.name.upper()}", _RTTIME)
    soft, hard = (
        resource.RLIM_INFINITY if value is None else value for value in (limit.soft, limit.hard)
    )
    words = f"set the limit {limit.name} to {_shown(limit.hard)}"
    highest = resource.getrlimit(number)[1]
    if highest != resource.RLIM_INFINITY and (limit.hard is None or limit.hard > highest):
        words += f", above the hard limit {highest} of the daemon"
    return words, partial(_set_limit, number, soft, hard)


def _listed(cpus: Iterable[int]) -> str:
    """Return the first few; who asked for a thousand does not need to be told all."""
    numbers = list(map(str, cpus))
    return ", ".join([*numbers[:_FEW], "…"] if len(numbers) > _FEW else numbers)


def _shown(value: int | None) -> str:
    return "unlimited" if value is None else str(value)


def _set_limit(number: int, soft: int, hard: int) -> None:
    try:
        resource.setrlimit(number, (soft, hard))
    except ValueError as error:  # Python's word for EPERM and EINVAL
        denied = "raise" in str(error)
        raise OSError(errno.EPERM if denied else errno.EINVAL, str(error)) from error


def _write(path: str, text: bytes) -> None:
    # Not a file object: the kernel's refusal comes with write(2), which that puts off.
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text)
    finally:
        os.close(fd)


def _no_new_privileges(libc: ctypes.CDLL) -> None:
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
