"""The resident memory of whole runs: for programs that ask for a limit of it.

Where the run has a cgroup with the memory controller, the kernel has added it up. Else it is the
sum over all processes of the run, in which pages that several of them share count for each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from supervisor_lite.host.descendants import Descendants
from supervisor_lite.host.kernel_files import read_value
from supervisor_lite.host.procfs import Stat, live_thread
from supervisor_lite.host.run import Run

_RESIDENT = ("anon", "file_mapped")
"""What of memory.stat (cgroups(7), kernel: cgroup-v2.rst) is resident memory of the processes.

Not `memory.current`: that includes the page cache, and who only writes a large file would be
restarted for it. Pages of shared memory are in `file_mapped`.
"""


def resident(descendants: Descendants, runs: Collection[Run]) -> dict[int, int]:
    """Return the bytes of resident memory of each run, by number.

    Runs of which nobody is left are not in the answer. That a process is of a run must be proved:
    nobody can have the program of somebody else restarted.
    """
    found: dict[int, int] = {}
    others: list[Run] = []
    for run in runs:
        counted = cgroup_memory(run.cgroup) if run.cgroup is not None else None
        if counted is None:
            others.append(run)
        else:
            found[run.number] = counted
    if others:
        for number, stats in descendants.members(others, on_claim=False).items():
            found[number] = _sum(stats)
    return found


def cgroup_memory(path: str) -> int | None:
    """Return what a cgroup uses, with all below it; None if its memory is not counted."""
    lines = (line.partition(" ") for line in read_value(f"{path}/memory.stat").splitlines())
    counts = {name: int(count) for name, _, count in lines if name in _RESIDENT}
    return sum(counts.values()) if len(counts) == len(_RESIDENT) else None


def _sum(stats: Iterable[Stat]) -> int:
    import psutil  # 2 MB, for those who need it

    used = 0
    for stat in stats:
        try:
            used += psutil.Process(live_thread(stat)).memory_info().rss
        except psutil.Error:
            continue  # ended since
    return used
