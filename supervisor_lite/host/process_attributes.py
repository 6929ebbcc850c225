"""What a child does to itself between fork and exec: limits, niceness, CPUs, privileges.

What has to be allocated or looked up is done before the fork. A limit of memory counts for the
forked copy of the daemon, too, so limits come last of what needs the daemon's rights.
"""

from __future__ import annotations

import errno
import math
import os
import resource
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from supervisor_lite.host import syscalls
from supervisor_lite.host.kernel_files import write_value
from supervisor_lite.host.step import Step
from supervisor_lite.model.process_attributes import ProcessAttributes, ResourceLimit

_MAX_LISTED = 8
_OOM_SCORE_ADJ = "/proc/self/oom_score_adj"


class Steps(NamedTuple):
    """What a child does to itself."""

    as_daemon: tuple[Step, ...] = ()
    """Before it changes its user."""
    as_user: tuple[Step, ...] = ()


def steps(attributes: ProcessAttributes | None) -> Steps:
    """Return what a child has to do to itself to have these attributes."""
    if attributes is None:
        return Steps()
    as_daemon: list[Step] = []
    if attributes.cpu_affinity is not None:
        words = f"run on CPU {_listed(attributes.cpu_affinity)}"
        usable = os.sched_getaffinity(0)
        if usable.isdisjoint(attributes.cpu_affinity):
            words += f" (the daemon runs on {_listed(sorted(usable))})"
        act = partial(os.sched_setaffinity, 0, attributes.cpu_affinity)
        as_daemon.append(Step(words, act, name="cpu_affinity"))
    if attributes.nice is not None:
        act = partial(os.setpriority, os.PRIO_PROCESS, 0, attributes.nice)
        as_daemon.append(Step(f"set nice to {attributes.nice}", act, name="nice"))
    if attributes.oom_score_adj is not None:
        words = f"set oom_score_adj to {attributes.oom_score_adj}"
        act = partial(write_value, _OOM_SCORE_ADJ, str(attributes.oom_score_adj))
        as_daemon.append(Step(words, act, name="oom_score_adj"))
    as_daemon.extend(map(_limiting, attributes.rlimits))
    as_user: list[Step] = []
    if attributes.no_new_privileges:
        syscalls.load()
        name = "no_new_privileges"
        as_user.append(Step(f"set {name}", syscalls.set_no_new_privileges, name=name))
    return Steps(tuple(as_daemon), tuple(as_user))


def _limiting(limit: ResourceLimit) -> Step:
    number = getattr(resource, f"RLIMIT_{limit.name.upper()}", syscalls.RLIMIT_RTTIME)
    soft, hard = (
        resource.RLIM_INFINITY if value is None else value for value in (limit.soft, limit.hard)
    )
    words = f"set the limit {limit.name} to {_shown(limit.hard)}"
    highest = resource.getrlimit(number)[1]
    if highest != resource.RLIM_INFINITY and (limit.hard is None or limit.hard > highest):
        words += f", above the hard limit {highest} of the daemon"
    return Step(words, partial(_set_limit, number, soft, hard), name=limit.name)


def _listed(cpus: Iterable[int]) -> str:
    """Return the first few; who asked for a thousand does not need to be told all."""
    numbers = list(map(str, cpus))
    return ", ".join([*numbers[:_MAX_LISTED], "…"] if len(numbers) > _MAX_LISTED else numbers)


def _shown(value: int | None) -> str:
    return "unlimited" if value is None else str(value)


def _set_limit(number: int, soft: int, hard: int) -> None:
    try:
        resource.setrlimit(number, (soft, hard))
    except ValueError as error:  # Python's word for EPERM and EINVAL (getrlimit(2))
        invalid = _order(soft) > _order(hard)
        raise OSError(errno.EINVAL if invalid else errno.EPERM, str(error)) from error


def _order(limit: int) -> float:
    return math.inf if limit == resource.RLIM_INFINITY else limit
