"""What /proc says of processes: their state, their environment, whose children they are.

All of it is about whoever has the pid when it is read. Who needs to know that it is still the same
process holds a pidfd (identity.py).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from supervisor_lite.host.kernel_files import read_start, read_value
from supervisor_lite.host.own_limits import is_shortage

_PF_EXITING = 0x4
"""A flag of the process (proc_pid_stat(5), field 9)."""
_PF_FORKNOEXEC = 0x40
"""The same: forked, and has executed nothing since."""
_SIGKILL = 1 << 8
"""Its bit in a mask of signals (proc_pid_status(5))."""

_MAX_DEPTH = 256
"""Generations that are looked at; who wants to hide may make more."""

_ONE_THREAD = 3
"""Links of /proc/PID/task of a process that has one thread."""

_MAX_ENVIRONMENT = 1 << 20
"""Bytes of an environment that are looked at. Where it lies and how long it is says the process
itself (PR_SET_MM of prctl(2)), and that may be all of its address space."""

RUN_VARIABLE = "SUPERVISOR_LITE_RUN"
"""Every process of a run carries the run's identity in this environment variable."""


class Stat(NamedTuple):
    """What /proc/PID/stat says that we need."""

    pid: int
    name: str
    state: str
    ppid: int
    pgrp: int
    session: int
    start: int
    threads: int = 1
    only_forked: bool = False
    """It has executed nothing since it was forked: a worker, not a program of its own."""

    @property
    def is_dead(self) -> bool:
        """Does nothing of it run any more?

        The state is that of its first thread: a process whose first thread has ended is shown as a
        zombie, and runs on for as long as it has others (pthread_exit(3)).
        """
        return self.state in "ZX" and self.threads <= 1


def read_stat(pid: int) -> Stat | None:
    """Return what /proc says about a process, or None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            data = file.read(1024)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None  # gone, or another user's and hidden (hidepid= of proc(5))
    # The name may hold blanks and parentheses: parse after the last one (proc_pid_stat(5)).
    left, right = data.index(b"("), data.rindex(b")")
    fields = data[right + 2 :].split()
    return Stat(
        pid=pid,
        name=data[left + 1 : right].decode(errors="replace"),
        state=fields[0].decode(),
        ppid=int(fields[1]),
        pgrp=int(fields[2]),
        session=int(fields[3]),
        start=int(fields[19]),
        threads=int(fields[17]),
        only_forked=bool(int(fields[6]) & _PF_FORKNOEXEC),
    )


def ancestry(pid: int) -> frozenset[int]:
    """Return a process, its ancestors as far up as this one, and the leaders of their sessions.

    A session names whose a process is also when its parent has ended: its number is not given to
    another process as long as the session has members (setsid(2)).
    """
    found: set[int] = set()
    me = os.getpid()
    for _ in range(_MAX_DEPTH):
        if pid <= 1 or pid == me or (stat := read_stat(pid)) is None:
            break
        found |= {pid, stat.session}
        pid = stat.ppid
    return frozenset(found)


def living(pids: Iterable[int]) -> list[Stat]:
    """Return what /proc says about those that are alive; a zombie is not."""
    stats = (read_stat(pid) for pid in pids)
    return [stat for stat in stats if stat is not None and not stat.is_dead]


def live_thread(stat: Stat) -> int:
    """Return a thread of a live process that has its memory and descriptors: usually the first.

    /proc/TID is there as /proc/PID is. One that has ended has neither any more.
    """
    if stat.state in "ZX":
        for thread in _threads(stat.pid):
            found = read_stat(thread)
            if found is not None and found.state not in "ZX":
                return thread
    return stat.pid


def _threads(pid: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError as error:
        return _none_of(error)


def named(stats: Iterable[Stat]) -> str:
    """Return processes as they are told to an operator: "12 node, 13 sh"."""
    return ", ".join(f"{stat.pid} {stat.name}" for stat in stats)


def read_marker(pid: int) -> str | None:
    """Return the run identity in a process's environment; None if absent or unreadable."""
    return read_variable(pid, RUN_VARIABLE)


def real_uid(pid: int) -> int | None:
    """Return the user who started a process, whoever it acts as; None if it is gone.

    That of its directory in /proc will not do: it is root's for whatever runs as root by a
    set-user-ID bit, with the environment that its caller chose (proc_pid_status(5)).
    """
    try:
        with open(f"/proc/{pid}/status", "rb", buffering=0) as file:
            data = file.read(4096)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    at = data.index(b"\nUid:") + 5
    return int(data[at : data.index(b"\n", at)].split()[0])


def outputs_of(process: Stat) -> list[tuple[int, int]]:
    """Return device and inode of a process's stdout and stderr, as far as they can be known."""
    found, thread = [], live_thread(process)
    for number in (1, 2):
        with contextlib.suppress(OSError):  # closed, gone, or another user's
            status = os.stat(f"/proc/{thread}/fd/{number}")
            found.append((status.st_dev, status.st_ino))
    return found


def find_marked(prefix: str) -> dict[str, list[Stat]]:
    """Search all processes once for run identities that begin with `prefix`.

    Returns the live processes by identity. Processes of other users may be unreadable.
    """
    found: dict[str, list[Stat]] = {}
    me = os.getpid()
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == me:
            continue
        marker = read_marker(int(name))
        if marker is None or not marker.startswith(prefix):
            continue
        stat = read_stat(int(name))
        if stat is not None and not stat.is_dead:
            found.setdefault(marker, []).append(stat)
    return found


def read_variable(pid: int, variable: str) -> str | None:
    """Return an environment variable that a process was started with; None if unreadable."""
    try:
        data = _read_environment(pid)
    except OSError:
        return None
    key = b"\0" + variable.encode() + b"="
    at = data.find(key)
    if at < 0:
        return None
    return data[at + len(key) :].split(b"\0", 1)[0].decode(errors="replace")


def read_command(pid: int) -> list[str]:
    """Return the words that a process was executed with, as far as they are short."""
    try:
        data = read_start(f"/proc/{pid}/cmdline", 4096)
    except OSError:
        return []
    return data.decode(errors="replace").split("\0")


def read_executable(pid: int) -> str:
    """Return the path of the file that a process executes; empty if that is not ours to know."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def _read_environment(pid: int) -> bytes:
    try:
        return b"\0" + read_start(f"/proc/{pid}/environ", _MAX_ENVIRONMENT)
    except ProcessLookupError:  # gone, or at least its first thread
        if _has_one_thread(pid):
            raise
        stat = read_stat(pid)
        if stat is None or stat.is_dead:
            raise
        return b"\0" + read_start(f"/proc/{live_thread(stat)}/environ", _MAX_ENVIRONMENT)


def _has_one_thread(pid: int) -> bool:
    """Is it sure that a process has no thread but its first? In one system call, not three.

    A search meets every zombie of the machine. The kernel counts threads as links of a directory,
    which has two of its own. Raises ProcessLookupError if there is no such process.
    """
    try:
        return os.stat(f"/proc/{pid}/task").st_nlink == _ONE_THREAD
    except FileNotFoundError as error:
        raise ProcessLookupError(error.errno, error.strerror) from error


def is_dying(pid: int) -> bool:
    """Is this process about to end, or dead already? One whose end is not collected counts."""
    fields = read_value(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not fields:
        return True
    others = int(fields[17]) > 1  # the state and the flags are those of its first thread
    if not others and (fields[0] in "ZX" or int(fields[6]) & _PF_EXITING):
        return True
    for line in read_value(f"/proc/{pid}/status").splitlines():
        name, _, mask = line.partition(":")
        if name in ("SigPnd", "ShdPnd") and int(mask, 16) & _SIGKILL:
            return True
    return False


# Who is whose child, by the kernel's own lists (/proc/PID/task/TID/children, proc_pid_task(5)).


def children(pid: int, thread: int) -> list[int]:
    """Return the children that one thread of a process has made; none if it is gone.

    Raises OSError if there is no descriptor to look with.
    """
    try:
        with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
            return [int(word) for word in file.readall().split()]
    except OSError as error:
        return _none_of(error)


def _none_of(error: OSError) -> list[int]:
    """Return that there are none, for the process is gone. Raises OSError if we cannot look."""
    if is_shortage(error):
        raise error
    return []


def own_children() -> list[int]:
    """Return our own children: those that we made, and the orphans that have become ours."""
    return children(os.getpid(), os.getpid())


def below(pid: int, is_foreign: Callable[[int], bool]) -> Iterator[int]:
    """Yield the descendants of a process, at any depth, dead ones that nobody reaped included.

    Those that are foreign are left out, with all below them.
    """
    todo = [pid]
    while todo:
        parent = todo.pop()
        for thread in _threads(parent):
            found = [child for child in children(parent, thread) if not is_foreign(child)]
            todo.extend(found)
            yield from found
