"""The daemon's own limits: more descriptors for it, the original number for its children."""

from __future__ import annotations

import errno
import os
import resource
from typing import NamedTuple

RESERVE = 32
"""Descriptors that no program gets: an operator must always be able to connect and stop one."""

LAST = 16
"""Those of them that no client gets either, nor what is left of a program: to look with."""

_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class Descriptors(NamedTuple):
    """Soft and hard RLIMIT_NOFILE of the daemon, and the soft one that children get."""

    soft: int
    hard: int
    children: int


def raise_descriptors(minimum: int, children: int | None) -> tuple[Descriptors, str]:
    """Raise the soft limit of descriptors to the hard one; return the limits and a warning.

    `children` is the soft limit for children if it is known from before an upgrade. The warning
    is not empty if even the hard limit is below `minimum` and cannot be raised.
    """
    original, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    warning = ""
    if hard < minimum:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (minimum, minimum))
            hard = minimum
        except (ValueError, OSError):
            warning = f"cannot raise the limit of descriptors to minfds = {minimum}: it is {hard}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return Descriptors(hard, hard, original if children is None else children), warning


def set_child_descriptors(limits: Descriptors) -> None:
    """Set what children inherit, in a child, or for a moment in the daemon. Raises OSError."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits.children, limits.hard))


def raise_processes(minimum: int) -> str:
    """Raise the soft limit of processes to `minimum` if it is lower; return a warning or ""."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft == resource.RLIM_INFINITY or soft >= minimum:
        return ""
    ceiling = minimum if hard == resource.RLIM_INFINITY else min(minimum, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NPROC, (ceiling, hard))
    except (ValueError, OSError):
        ceiling = soft
    if ceiling < minimum:
        return f"cannot raise the limit of processes to minprocs = {minimum}: it is {ceiling}"
    return ""


def close_on_exec_inherited() -> None:
    """Mark every inherited descriptor above 2 close-on-exec: children get none of them."""
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        if number > 2:
            try:
                os.set_inheritable(number, False)
            except OSError:
                continue  # the descriptor of the listing itself


def is_nearly_out(limits: Descriptors) -> bool:
    """Are only the descriptors left that the daemon needs to stay reachable?"""
    return _lowest_free() >= limits.soft - RESERVE


def has_room(reserve: int) -> bool:
    """Are there so many descriptors left, and more?"""
    return _lowest_free() < resource.getrlimit(resource.RLIMIT_NOFILE)[0] - reserve


def _lowest_free() -> float:
    try:
        lowest_free = os.dup(0)
    except OSError:
        return float("inf")
    os.close(lowest_free)
    return lowest_free


def is_shortage(error: OSError) -> bool:
    """Is it we who are out of descriptors or memory? Then nothing is known of what was asked."""
    return error.errno in _SHORTAGES
