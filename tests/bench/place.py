"""Where a contender lives, what it started, and what the kernel says about it."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.venvs import BenchError

MARK = "SUPERVISOR_LITE_BENCH"
"""Every process of a benchmark carries this variable: the directory it belongs to."""

TICKS = os.sysconf("SC_CLK_TCK")


def wait_until(
    condition: Callable[[], object], limit: float, what: str, pause: float = 0.001
) -> None:
    """Wait for something to come true, looking every `pause` seconds."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise BenchError(f"not within {limit:g} s: {what}")
        time.sleep(pause)


class Place:
    """Directories, and an environment that marks every process that is started with them.

    `dir` is in memory, where there is such a thing: for sockets, FIFOs and the logs of quiet
    programs. A file system that has just lost thousands of files is slow to make new ones (ext4
    looks for inodes that were not deleted lately), which would be measured instead. `disk` is for
    what has to reach a disk: journals, and logs that are written to.
    """

    def __init__(self, memory: Path, disk: Path, name: str) -> None:
        self.dir = Path(tempfile.mkdtemp(dir=memory, prefix=f"{name}-"))
        self.disk = Path(tempfile.mkdtemp(dir=disk, prefix=f"{name}-"))
        self.environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.dir),
            "LANG": "C.UTF-8",
            MARK: str(self.dir),
        }

    def popen(
        self, command: Sequence[str], *, stdin: int | None = None, stdout: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a process that is cleaned up with the place; what it says goes to a file."""
        with (self.dir / "said").open("ab") as said:
            return subprocess.Popen(
                command, cwd=self.dir, env=self.environment, start_new_session=True,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=said if stdout is None else stdout, stderr=said,
            )  # fmt: skip

    def said(self) -> str:
        """Return the last of what processes wrote on their standard descriptors."""
        path = self.dir / "said"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def remove(self) -> None:
        """Kill what was started here, and delete the directories."""
        kill_marked(str(self.dir))
        for directory in (self.dir, self.disk):
            shutil.rmtree(directory, ignore_errors=True)


def kill_marked(prefix: str) -> None:
    """Kill every process whose mark begins with `prefix`, and what it starts meanwhile."""
    wanted = f"{MARK}={prefix}".encode()
    end = time.monotonic() + 20
    while pids := [pid for pid, mark in _marks() if mark.startswith(wanted)]:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > end:
            raise BenchError(f"cannot get rid of {len(pids)} processes: {pids[:5]} …")
        time.sleep(0.02)


def _marks() -> list[tuple[int, bytes]]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                data = Path(f"/proc/{name}/environ").read_bytes()
                for entry in data.split(b"\0"):
                    if entry.startswith(MARK.encode() + b"="):
                        found.append((int(name), entry))
    return found


def find(mark: str, names: Container[str]) -> list[int]:
    """Return the live processes with one of these names that carry this mark."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().rstrip() not in names:
                continue  # most of them, for the cheaper half of the question
            if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(int(pid))
    return found


def runs(pid: int) -> bool:
    """Tell whether a process exists and is more than a zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


@contextlib.contextmanager
def open_pidfd(pid: int) -> Iterator[int]:
    """Return a descriptor of a process, closed in the end."""
    pidfd = os.pidfd_open(pid)
    try:
        yield pidfd
    finally:
        os.close(pidfd)


def is_over(pidfd: int, limit: float) -> bool:
    """Wait for the end of a process, which nobody polls for; False if it does not come."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(limit * 1000))


def timed(
    command: Sequence[str], environment: Mapping[str, str], limit: float = 30.0
) -> tuple[float, int]:
    """Run a command to its end; return the seconds it took and its exit code.

    One that is not done after `limit` seconds is killed and counts as (limit, -9).
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with open_pidfd(process.pid) as pidfd:
            done = is_over(pidfd, limit)
            took = time.perf_counter() - began
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    return (took if done else limit), process.returncode


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used and how often it has slept, since it began."""

    cpu: float
    """Seconds."""
    switches: int
    """Times it was switched away from or went to sleep: a wake-up each."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.cpu + other.cpu, self.switches + other.switches)

    def since(self, before: Usage) -> Usage:
        """Return the difference to an earlier look."""
        return Usage(self.cpu - before.cpu, self.switches - before.switches)


def usage(pid: int) -> Usage:
    """Look at a process; its children are not counted."""
    switches = 0
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if "voluntary_ctxt_switches" in line:  # and nonvoluntary_
            switches += int(line.split()[1])
    try:
        # Nanoseconds on a processor; utime and stime only count whole ticks.
        cpu = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / TICKS
    return Usage(cpu, switches)


def memory(pid: int) -> tuple[float, float]:
    """Return RSS and PSS in MB (10⁶ bytes)."""
    sizes = {"Rss": 0.0, "Pss": 0.0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        key = line.split(":")[0]
        if key in sizes:
            sizes[key] = int(line.split()[1]) * 1024 / 1e6
    return sizes["Rss"], sizes["Pss"]
