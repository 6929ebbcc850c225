"""Is this still the same process? Names for processes that pid reuse cannot fool.

A pid is reused; a (boot id, pid, start time) is practically not, and the inode of a pidfd (pidfs,
Linux >= 6.9) never is within a boot.
"""

from __future__ import annotations

import os
import signal
import time
from functools import cache
from typing import NamedTuple

from supervisor_lite.host.own_limits import is_shortage
from supervisor_lite.host.procfs import Stat, read_stat
from supervisor_lite.model.world import World

TICKS = os.sysconf("SC_CLK_TCK")

_HIDDEN = 5
"""Seconds after its start in which a process is identified that cannot be seen."""


class Identity(NamedTuple):
    """Which process: enough to find it again, or to know that it is gone."""

    pid: int
    boot: str
    start: int
    """Start time in clock ticks after boot (proc_pid_stat(5), field 22)."""
    inode: int = 0
    """The pidfd's inode, 0 where the kernel has no pidfs."""


@cache
def boot_id() -> str:
    """Return the kernel's random id of this boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        return file.read().strip()


def identify(pid: int, pidfd: int) -> Identity | None:
    """Return the identity of a live (or not yet reaped) process that `pidfd` refers to.

    One that we may not see (hidepid= of proc(5)), as that of a program which nobody may trace, is
    known by the inode alone: as its start counts now, when it has just been made.
    """
    stat, inode = read_stat(pid), pidfs_inode(pidfd)
    if stat is not None:
        return Identity(pid, boot_id(), stat.start, inode)
    if inode and is_there(pidfd):
        return Identity(pid, boot_id(), int(time.clock_gettime(time.CLOCK_BOOTTIME) * TICKS), inode)
    return None


def is_there(pidfd: int) -> bool:
    """Is a process alive, or not reaped yet, whether we may see it or not?"""
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def unseen(identity: Identity) -> Stat:
    """Return what is known of a live process that we may not see: who it is, no more."""
    pid = identity.pid
    return Stat(pid, "?", "?", ppid=0, pgrp=pid, session=pid, start=identity.start)


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
    """Open a pidfd on exactly this process; None if it is gone or another one has its pid.

    Raises OSError if there is no descriptor for it.
    """
    if identity.boot != boot_id():
        return None
    try:
        pidfd = os.pidfd_open(identity.pid)
    except OSError as error:
        if is_shortage(error):
            raise
        return None
    # The pidfd pins the process: what is read now, after it was opened, is about the pidfd's
    # process or about nobody.
    stat = read_stat(identity.pid)
    inode = pidfs_inode(pidfd)
    known = bool(identity.inode and inode)
    if stat is None:
        same = known and inode == identity.inode and is_there(pidfd)
    elif known:
        # Its start is that of the kernel, or when it was seen first: it may have been hidden then.
        same = inode == identity.inode and abs(stat.start - identity.start) <= _HIDDEN * TICKS
    else:
        same = stat.start == identity.start
    if not same:
        os.close(pidfd)
        return None
    return pidfd


def this_world() -> World:
    """Return the pid namespace that we are in."""
    try:
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        namespace = 0
    first = read_stat(1)
    return World(boot_id(), namespace, first.start if first is not None else 0)
