"""Every system call, ioctl and number of the kernel's that Python has no name for, typed.

The one module that may load ctypes: which of the kernel's interfaces we depend on stands here and
nowhere else. A function is a system call's thin wrapper: it raises OSError where the call fails,
and decides nothing. Numbers are those of the kernel's headers and the same on every architecture
that supports pidfds.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import sys
import termios
from collections.abc import Collection, Iterator
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

RLIMIT_RTTIME = 15
"""Not every Python has a name for it (getrlimit(2))."""

_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38

_SYS_CLONE3, _SYS_PIDFD_GETFD = 435, 438
_CLONE_INTO_CGROUP = 1 << 33

_PIDFD_SIGNAL_PROCESS_GROUP = 4
_PIDFD_GET_INFO = (3 << 30) | (64 << 16) | (0xFF << 8) | 11
"""_IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info) of its first published size, 64 bytes."""
_PIDFD_INFO_PID = 1
_PIDFD_INFO_EXIT = 8
_PIDFD_INFO = struct.Struct("=QQ11Ii")
"""Mask, cgroup id, eleven numbers of the process and its user, wait status."""

_SO_PEERGROUPS = 59
_MAX_PEERGROUPS = 1024
"""Bytes: as many as Python takes from getsockopt(2), 256 groups."""

_IN_MODIFY, _IN_ONLYDIR = 0x2, 0x1000000
_IN_MOVED_FROM, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE = 0x40, 0x80, 0x100, 0x200
_IN_DELETE_SELF, _IN_MOVE_SELF, _IN_UNMOUNT, _IN_Q_OVERFLOW = 0x400, 0x800, 0x2000, 0x4000
_INOTIFY_EVENT = struct.Struct("iIII")
"""Watch, mask, cookie, length of a name that follows: none for files that are watched."""

_SIGSET_BYTES = _SIGINFO_BYTES = 128

_AT_EMPTY_PATH, _STATX_BTIME = 0x1000, 0x800


@cache
def _libc() -> ctypes.CDLL:
    # Loaded by the first call that needs it: many a command of ours never makes one.
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def _failure(path: str | None = None) -> OSError:
    """Return what the last call has failed with."""
    import ctypes

    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), path)


# Processes.


def become_subreaper() -> None:
    """Let orphaned descendants become our children (PR_SET_CHILD_SUBREAPER, prctl(2)).

    Raises OSError.
    """
    if _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise _failure()


def set_no_new_privileges() -> None:
    """Let no exec give this process more rights (PR_SET_NO_NEW_PRIVS, prctl(2)). Raises OSError.

    In a child between fork and exec, only after `load`.
    """
    if _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise _failure()


def load() -> None:
    """Load what the calls here need; before a fork whose child makes one of them."""
    _libc()


def fork_into_cgroup(path: str) -> int:
    """Fork a child that begins its life in a cgroup; return its pid, 0 in the child itself.

    clone3(2) with CLONE_INTO_CGROUP, Linux >= 5.7. What os.fork() puts in order in a child is not
    done: it is fit for nothing but exec, and we must have one thread. Raises OSError.
    """
    import ctypes

    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # struct clone_args: flags, four addresses and stack left out, the signal of its end, …
        arguments = struct.pack(
            "=11Q", _CLONE_INTO_CGROUP, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, fd
        )
        # Not a CDLL: that would release the interpreter's lock, and take it again in the child.
        libc = ctypes.PyDLL(None, use_errno=True)
        pid = int(libc.syscall(_SYS_CLONE3, arguments, len(arguments)))
        if pid < 0:
            raise _failure(path)
        return pid
    finally:
        os.close(fd)


def signal_group(pidfd: int, number: int) -> None:
    """Send a signal to the group that the process leads (pidfd_send_signal(2), Linux >= 6.9).

    Raises OSError.
    """
    signal.pidfd_send_signal(pidfd, number, None, _PIDFD_SIGNAL_PROCESS_GROUP)


def wait_status_of_other(pidfd: int) -> int | None:
    """Return the wait status of a process that was not our child, once somebody has reaped it.

    PIDFD_GET_INFO with PIDFD_INFO_EXIT (linux/pidfd.h), Linux >= 6.15. None if it is not reaped
    yet, or if the kernel does not know.
    """
    data = bytearray(_PIDFD_INFO.size)
    struct.pack_into("=Q", data, 0, _PIDFD_INFO_PID | _PIDFD_INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, data, True)
    except OSError:
        return None
    values = _PIDFD_INFO.unpack(data)
    return int(values[-1]) if values[0] & _PIDFD_INFO_EXIT else None


def copy_descriptor(pidfd: int, number: int) -> int:
    """Return a copy of a descriptor of another process (pidfd_getfd(2)).

    The kernel asks for the right to trace the process (ptrace(2)). Raises OSError.
    """
    fd = int(_libc().syscall(_SYS_PIDFD_GETFD, pidfd, number, 0))
    if fd < 0:
        raise _failure()
    return fd


# Signals as descriptors.


def open_signalfd(numbers: Collection[int]) -> int:
    """Return a descriptor that is readable when one of these signals is pending (signalfd(2)).

    They have to be blocked. Raises OSError.
    """
    mask = sum(1 << (number - 1) for number in numbers)
    sigset = mask.to_bytes(_SIGSET_BYTES, sys.byteorder)
    fd = int(_libc().signalfd(-1, sigset, os.O_NONBLOCK | os.O_CLOEXEC))
    if fd < 0:
        raise _failure()
    return fd


def read_signalfd(fd: int) -> bytes:
    """Take one pending signal off; return struct signalfd_siginfo. Raises BlockingIOError."""
    return os.read(fd, _SIGINFO_BYTES)


# Files that change.


def open_inotify() -> int:
    """Return a descriptor on which changes of files are told (inotify_init(2)). Raises OSError."""
    fd = int(_libc().inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    if fd < 0:
        raise _failure()
    return fd


def watch_modification(inotify: int, path: str) -> int:
    """Have every change of a file told; return the number of the watch (inotify_add_watch(2)).

    Raises OSError, ENOSPC if the user has too many.
    """
    watch = int(_libc().inotify_add_watch(inotify, os.fsencode(path), _IN_MODIFY))
    if watch < 0:
        raise _failure(path)
    return watch


def end_watch(inotify: int, watch: int) -> None:
    """Have it told no more; a watch that is gone already is no error (inotify_rm_watch(2))."""
    _libc().inotify_rm_watch(inotify, watch)


def read_modified(inotify: int) -> Iterator[int]:
    """Yield the watches whose files have changed, as often as is told (inotify(7))."""
    try:
        data = os.read(inotify, 4096)
    except BlockingIOError:
        return
    for watch, *_ in _INOTIFY_EVENT.iter_unpack(data):
        yield watch


def watch_directory(inotify: int, path: str, *, arrivals: bool) -> int:
    """Have it told what leaves a directory, and its own end; with `arrivals` what comes, too.

    Return the number of the watch (inotify_add_watch(2)). Raises OSError, ENOSPC if the user has
    too many.
    """
    mask = _IN_DELETE | _IN_MOVED_FROM | _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_ONLYDIR
    if arrivals:
        mask |= _IN_CREATE | _IN_MOVED_TO
    watch = int(_libc().inotify_add_watch(inotify, os.fsencode(path), mask))
    if watch < 0:
        raise _failure(path)
    return watch


def read_directory_changes(inotify: int) -> Iterator[tuple[int, bool, str]]:
    """Yield of each change the watch, whether it is about the directory itself, and the name."""
    try:
        data = os.read(inotify, 65536)
    except BlockingIOError:
        return
    itself = _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_UNMOUNT | _IN_Q_OVERFLOW
    at = 0
    while at < len(data):
        watch, mask, _, length = _INOTIFY_EVENT.unpack_from(data, at)
        at += _INOTIFY_EVENT.size
        yield watch, bool(mask & itself), os.fsdecode(data[at : at + length].rstrip(b"\0"))
        at += length


def birth_time(fd: int) -> int:
    """Return when a file was made, in ns; 0 if that is not known (statx(2))."""
    import ctypes

    statx = getattr(_libc(), "statx", None)  # an old C library has none
    data = ctypes.create_string_buffer(256)
    if statx is None or statx(fd, b"", _AT_EMPTY_PATH, _STATX_BTIME, data) != 0:
        return 0
    seconds, nanoseconds = struct.unpack_from("=qI", data, 80)  # stx_btime
    return int(seconds * 1_000_000_000 + nanoseconds)


# Pipes.


def tee(source: int, target: int, count: int) -> int:
    """Copy up to `count` bytes from pipe to pipe and leave them in the first (tee(2)).

    Return how many, 0 if there are none. Raises OSError.
    """
    import ctypes

    size = int(_libc().tee(source, target, ctypes.c_size_t(count), os.SPLICE_F_NONBLOCK))
    if size >= 0:
        return size
    error = _failure()
    if isinstance(error, BlockingIOError):
        return 0
    raise error


def pipe_capacity(fd: int) -> int:
    """Return how many bytes a pipe holds at most (F_GETPIPE_SZ, fcntl(2))."""
    return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)


def set_pipe_capacity(fd: int, size: int) -> None:
    """Let a pipe hold so many bytes (F_SETPIPE_SZ, fcntl(2)). Raises OSError."""
    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, size)


def bytes_in_pipe(fd: int) -> int:
    """Return how many bytes are in a pipe now (FIONREAD, pipe(7))."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)


# Sockets.


def peer_groups(sock: socket.socket) -> tuple[int, ...]:
    """Return the supplementary groups of who is at the other end (SO_PEERGROUPS, unix(7)).

    Raises OSError: more groups than fit, or Linux < 4.13.
    """
    data = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MAX_PEERGROUPS)
    return struct.unpack(f"{len(data) // 4}I", data)
