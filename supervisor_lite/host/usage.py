"""What whole runs use at present: processes, resident memory, CPU time; for who looks at them.

Where the run has a cgroup that counts it, the kernel has added it up: then what has ended is in the
CPU time, too. Else it is the sum over the live processes of the run and the children that these
have waited for (cutime and cstime of proc_pid_stat(5)).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import NamedTuple

from supervisor_lite.host.descendants import Descendants
from supervisor_lite.host.kernel_files import read_value
from supervisor_lite.host.memory_usage import cgroup_memory
from supervisor_lite.host.procfs import Stat, live_thread
from supervisor_lite.host.run import Run

_TICK = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

_CPU, _RESIDENT = slice(11, 15), 21
"""Of proc_pid_stat(5) behind the name: utime, stime, cutime, cstime; and rss."""


class RunUsage(NamedTuple):
    """What the live processes of a run use together."""

    processes: int
    memory: int
    """Bytes; pages that several processes share count for each, unless a cgroup counts them."""
    cpu: float
    """Seconds since the run began."""


def usage(descendants: Descendants, runs: Collection[Run]) -> dict[int, RunUsage]:
    """Return what each run uses, by number; those of which nobody is left are not in the answer.

    That a process is of a run must be proved, as for its memory.
    """
    paths = {run.number: run.cgroup for run in runs}
    found = {}
    for number, stats in descendants.members(runs, on_claim=False).items():
        memory, cpu = _sum(stats)
        if (path := paths[number]) is not None:
            counted, used = cgroup_memory(path), _cgroup_cpu(path)
            memory = memory if counted is None else counted
            cpu = cpu if used is None else used
        found[number] = RunUsage(len(stats), memory, cpu)
    return found


def _cgroup_cpu(path: str) -> float | None:
    """Return the CPU time of a cgroup, with all below it; None if the kernel does not tell."""
    for line in read_value(f"{path}/cpu.stat").splitlines():
        name, _, count = line.partition(" ")
        if name == "usage_usec":
            return int(count) / 1e6
    return None


def _sum(stats: Iterable[Stat]) -> tuple[int, float]:
    """Return bytes and seconds."""
    pages = ticks = 0
    for stat in stats:
        fields = read_value(f"/proc/{live_thread(stat)}/stat").rpartition(")")[2].split()
        if fields:  # else it has ended since
            pages += int(fields[_RESIDENT])
            ticks += sum(map(int, fields[_CPU]))
    return pages * _PAGE, ticks * _TICK
