"""What a run uses: by its cgroup where that counts it, else by its processes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_lite.host.cgroups import Cgroups
from supervisor_lite.host.descendants import Descendants
from supervisor_lite.host.procfs import read_stat
from supervisor_lite.host.run import Run
from supervisor_lite.host.usage import RunUsage, usage

BURN = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"


@pytest.fixture
def family() -> Iterator[int]:
    """A process with two live children, and one that has used CPU time and has ended."""
    script = f"sh -c '{BURN}'; sleep 1000 & sleep 1000 & echo; wait"
    command = ["sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        os.killpg(process.pid, 9)


def measured(*runs: Run) -> dict[int, RunUsage]:
    descendants = Descendants(Cgroups("off", "x", print), lambda pid: False, print)
    for run in runs:
        descendants.add(run)
    return usage(descendants, runs)


def run_of(number: int, pid: int, cgroup: str | None = None) -> Run:
    stat = read_stat(pid)
    assert stat is not None
    return Run(number, f"abc:{number}", pid, stat.start, cgroup=cgroup)


def test_the_whole_tree_counts_and_children_that_were_waited_for(family: int) -> None:
    found = measured(run_of(1, family))[1]
    assert found.processes == 3
    assert found.memory > 300_000
    assert found.cpu >= 0.01


def test_a_cgroup_has_counted_what_has_ended_too(family: int, tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text(f"{family}\n")
    (tmp_path / "cgroup.events").write_text("populated 1\n")
    assert measured(run_of(1, family, str(tmp_path)))[1].memory > 100_000
    (tmp_path / "memory.stat").write_text("anon 70000\nfile 900000\nfile_mapped 3000\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    assert measured(run_of(1, family, str(tmp_path))) == {1: RunUsage(1, 73000, 2.5)}


def test_who_is_gone_is_not_in_the_answer() -> None:
    assert measured(Run(1, "abc:1", 4194305, 0)) == {}
