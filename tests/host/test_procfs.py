"""What /proc says, of processes that mean to mislead whoever reads it."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator

import pytest

from supervisor_lite.host import procfs, succession
from supervisor_lite.model.constants import MIB

HUGE = r"""
import ctypes, mmap, os, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
size = 64 << 20
area = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
at = ctypes.addressof(ctypes.c_char.from_buffer(area))
field = open("/proc/self/stat").read().rpartition(")")[2].split()
number = lambda place: int(field[place - 3])  # as proc_pid_stat(5) counts them
code, data, stack, heap = (number(26), number(27)), (number(45), number(46)), number(28), number(47)
values = (*code, *data, heap, heap, stack, at, at + size, at, at + size, 0)
PR_SET_MM, PR_SET_MM_MAP = 35, 14
wanted = struct.pack("=12QIi", *values, 0, -1)
failed = libc.prctl(PR_SET_MM, PR_SET_MM_MAP, wanted, len(wanted), 0)
print("refused" if failed else "done", flush=True)
time.sleep(100000)
"""
"""Says that command line and environment are 64 MiB: it takes no privilege to say terabytes."""


@pytest.fixture
def huge() -> Iterator[int]:
    """A process with an environment without end."""
    command = [sys.executable, "-c", HUGE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        if said != "done":
            process.kill()
            pytest.skip(f"a kernel without CONFIG_CHECKPOINT_RESTORE: {said}")
        yield process.pid
        process.kill()


def test_an_environment_without_end_is_not_read_to_its_end(huge: int) -> None:
    """It is as long as its process says; the daemon reads those of everybody on the machine."""
    stat = procfs.read_stat(huge)
    assert stat is not None
    tracemalloc.start()
    try:
        assert procfs.read_marker(huge) is None
        assert succession.successor(1, [stat], None, [os.getuid()]) is None
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()
