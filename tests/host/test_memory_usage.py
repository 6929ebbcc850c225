"""How much memory a run has: by its cgroup where that counts it, else by its processes."""

from __future__ import annotations

import os
from pathlib import Path

from supervisor_lite.host.cgroups import Cgroups
from supervisor_lite.host.descendants import Descendants
from supervisor_lite.host.memory_usage import resident
from supervisor_lite.host.procfs import read_stat
from supervisor_lite.host.run import Run

STAT = "anon 70000\nfile 900000\nkernel 5000\nshmem 100\nfile_mapped 3000\nactive_file 800000\n"


def measured(*runs: Run) -> dict[int, int]:
    descendants = Descendants(Cgroups("off", "x", print), lambda pid: True, print)
    for run in runs:
        descendants.add(run)
    return resident(descendants, runs)


def test_the_kernel_has_added_it_up(tmp_path: Path) -> None:
    """What was only read or written is in the page cache and is not counted."""
    (tmp_path / "memory.stat").write_text(STAT)
    (tmp_path / "memory.current").write_text("1000000\n")
    assert measured(Run(3, "abc:3", os.getpid(), 0, cgroup=str(tmp_path))) == {3: 73000}


def test_without_the_controller_processes_are_added_up(tmp_path: Path) -> None:
    """Those that live in the cgroup, or those below the main process."""
    (tmp_path / "cgroup.procs").write_text(f"{os.getppid()}\n")
    (tmp_path / "cgroup.events").write_text("populated 1\n")
    stat = read_stat(os.getpid())
    assert stat is not None
    grouped = Run(1, "abc:1", os.getppid(), 0, cgroup=str(tmp_path))
    alone = Run(2, "abc:2", os.getpid(), stat.start)
    found = measured(grouped, alone)
    assert found.keys() == {1, 2}
    assert all(used > 100_000 for used in found.values())


def test_who_is_gone_is_not_in_the_answer() -> None:
    assert measured(Run(1, "abc:1", 4194305, 0)) == {}
