"""Open a log at its path, but not what somebody else has planted there.

A log may lie in a directory that its program, or another user, may write to. There a link to a file
that only we may write, or read, would have us do that for them. The kernel prevents this in
directories like /tmp alone (proc_sys_fs(5), protected_symlinks); we do it everywhere, for the last
component of a path, with its rule: a link is followed if root or we have made it.
"""

from __future__ import annotations

import errno
import os
import stat

_MAX_LINKS = 40
"""Links in a row; as many as the kernel follows."""


def open_log(path: str, flags: int, mode: int = 0o644) -> int:
    """Open a file like open(2). Raises OSError, also at a planted link."""
    place = destination(path)
    if not place.startswith("/proc/"):
        flags |= os.O_NOFOLLOW  # whatever has come there in the meantime
    fd = os.open(place, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, mode)
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1 and _is_writable_by_others(place):
        os.close(fd)
        text = "it has a second name (a hard link), and others may write to its directory"
        raise OSError(errno.EMLINK, text, path)
    return fd


def destination(path: str) -> str:
    """Follow the links at the end of a path. Raises OSError at one of another user."""
    for _ in range(_MAX_LINKS):
        if path.startswith("/proc/"):
            return path  # links there are the kernel's, and lead to what has no path
        try:
            fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return path
        try:
            status = os.fstat(fd)
            if not stat.S_ISLNK(status.st_mode):
                return path
            if status.st_uid not in (0, os.geteuid()):
                raise OSError(errno.EPERM, f"it is a link of uid {status.st_uid}", path)
            path = os.path.join(os.path.dirname(path), os.readlink("", dir_fd=fd))
        finally:
            os.close(fd)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _is_writable_by_others(path: str) -> bool:
    status = os.stat(os.path.dirname(path) or ".")
    return status.st_uid not in (0, os.geteuid()) or bool(status.st_mode & 0o022)
