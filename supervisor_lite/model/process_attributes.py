"""How the kernel treats a child: limits, niceness, OOM score, CPUs. A part of a Program."""

from __future__ import annotations

from typing import NamedTuple


class ResourceLimit(NamedTuple):
    """One limit of setrlimit(2); None is unlimited."""

    name: str
    """As the shell and systemd know it, in small letters: "nofile"."""
    soft: int | None
    """In the unit of the kernel: bytes, seconds of CPU time, microseconds (rttime) or a number."""
    hard: int | None


class ProcessAttributes(NamedTuple):
    """How the kernel treats a child; None leaves a child as the daemon is."""

    rlimits: tuple[ResourceLimit, ...] = ()
    nice: int | None = None
    """-20 (goes first) to 19."""
    oom_score_adj: int | None = None
    """-1000 (never killed when memory is out) to 1000 (first)."""
    cpu_affinity: tuple[int, ...] | None = None
    """Numbers of CPUs, ascending."""
    no_new_privileges: bool = False
    """No setuid bit and no file capability has an effect on it (prctl(2))."""
