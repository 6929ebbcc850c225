"""Is this still the same process? Names for processes that pid reuse cannot fool.

A pid is reused; a (boot id, pid, start time) is practically not, and the inode of a pidfd (pidfs,
Linux >= 6.9) never is within a boot.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

RUN_VARIABLE = "SUPERVISOR_LITE_RUN"
"""Every process of a run carries the run's identity in this environment variable."""


class Identity(NamedTuple):
    """Which process: enough to find it again, or to know that it is gone."""

    pid: int
    boot: str
    start: int
    """Start time in clock ticks after boot (proc_pid_stat(5), field 22)."""
    inode: int = 0
    """The pidfd's inode, 0 where the kernel has no pidfs."""


class Stat(NamedTuple):
    """What /proc/PID/stat says that we need."""

    pid: int
    name: str
    state: str
    ppid: int
    pgrp: int
    session: int
    start: int


@cache
def boot_id() -> str:
    """Return the kernel's random id of this boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        return file.read().strip()


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
    )


def living(pids: Iterable[int]) -> list[Stat]:
    """Return what /proc says about those that are alive; a zombie is not."""
    stats = (read_stat(pid) for pid in pids)
    return [stat for stat in stats if stat is not None and stat.state not in "ZX"]


def named(stats: Iterable[Stat]) -> str:
    """Return processes as they are told to an operator: "12 node, 13 sh"."""
    return ", ".join(f"{stat.pid} {stat.name}" for stat in stats)


def identify(pid: int, pidfd: int) -> Identity | None:
    """Return the identity of a live (or not yet reaped) process that `pidfd` refers to."""
    stat = read_stat(pid)
    if stat is None:
        return None
    return Identity(pid, boot_id(), stat.start, pidfs_inode(pidfd))


def pidfs_inode(pidfd: int) -> int:
    """Return the inode that is unique to the process, or 0 on kernels without pidfs.

    Before Linux 6.9 every pidfd shares one anonymous inode; it is recognised by comparing with
    the one of this process itself.
    """
    inode = os.fstat(pidfd).st_ino
    return 0 if inode == _shared_inode() else inode


@cache
def _shared_inode() -> int:
    """Return the inode that all pidfds share on an old kernel, or -1 if they do not."""
    mine = os.pidfd_open(os.getpid())
    parent = os.pidfd_open(1) if os.getpid() != 1 else os.dup(mine)
    try:
        a, b = os.fstat(mine).st_ino, os.fstat(parent).st_ino
    finally:
        os.close(mine)
        os.close(parent)
    return a if a == b and os.getpid() != 1 else -1


def open_same(identity: Identity) -> int | None:
    """Open a pidfd on exactly this process; None if it is gone or another one has its pid."""
    if identity.boot != boot_id():
        return None
    try:
        pidfd = os.pidfd_open(identity.pid)
    except OSError:
        return None
    # The pidfd pins the process: what is read now, after it was opened, is about the pidfd's
    # process or about nobody.
    stat = read_stat(identity.pid)
    inode = pidfs_inode(pidfd)
    same = stat is not None and stat.start == identity.start
    if same and identity.inode and inode:
        same = inode == identity.inode
    if not same:
        os.close(pidfd)
        return None
    return pidfd


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


def outputs_of(pid: int) -> list[tuple[int, int]]:
    """Return device and inode of a process's stdout and stderr, as far as they can be known."""
    found = []
    for number in (1, 2):
        with contextlib.suppress(OSError):  # closed, gone, or another user's
            status = os.stat(f"/proc/{pid}/fd/{number}")
            found.append((status.st_dev, status.st_ino))
    return found


def pid_namespace() -> int:
    """Return the number of our pid namespace: a restarted container has another one."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


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
        if stat is not None and stat.state not in "ZX":
            found.setdefault(marker, []).append(stat)
    return found


def read_variable(pid: int, variable: str) -> str | None:
    """Return an environment variable that a process was started with; None if unreadable."""
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            data = b"\0" + file.read()
    except OSError:
        return None
    key = b"\0" + variable.encode() + b"="
    at = data.find(key)
    if at < 0:
        return None
    return data[at + len(key) :].split(b"\0", 1)[0].decode(errors="replace")
