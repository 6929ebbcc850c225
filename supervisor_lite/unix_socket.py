"""Bind a Unix socket with its mode and owner, in a directory that may be somebody else's."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat


def bind_unix(path: str, mode: int, owner: tuple[int, int], backlog: int) -> socket.socket:
    """Return a socket that listens at `path`, close-on-exec and blocking.

    It is bound under another name and renamed, over a socket or link that is there: nobody ever
    sees it with another owner, or not there at all. That nobody listens there is the caller's to
    know. The socket's own address (getsockname(2)) stays that other name. `owner` is uid and gid,
    -1 for our own. Raises OSError.
    """
    with contextlib.suppress(FileNotFoundError):
        there = os.lstat(path).st_mode
        if not stat.S_ISSOCK(there) and not stat.S_ISLNK(there):
            # A mistake in the configuration must not cost somebody a file.
            raise FileExistsError(errno.EEXIST, "something that is not a socket is there", path)
    fresh = f"{path[:-1]}~"  # no longer than the path itself: sun_path has room for 107 bytes
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh)
    sock, _ = bound_unix(fresh, mode, owner)
    try:
        sock.listen(backlog)
        os.rename(fresh, path)
    except BaseException:
        os.unlink(fresh)
        sock.close()
        raise
    return sock


def bound_unix(
    path: str, mode: int, owner: tuple[int, int]
) -> tuple[socket.socket, os.stat_result]:
    """Return a socket bound to `path`, which does not listen yet, and the status of its file.

    Whoever may write to the directory can exchange the file at any moment: it is never changed by
    its name. Raises OSError.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        os.fchmod(sock.fileno(), mode)  # bind(2) makes the file with it
        before = os.umask(0)
        try:
            sock.bind(path)
        finally:
            os.umask(before)
        return sock, _given(path, owner)
    except BaseException:
        sock.close()
        raise


def _given(path: str, owner: tuple[int, int]) -> os.stat_result:
    """Give the file that we have just made to its owner; return its status."""
    made = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(made)
        if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.geteuid():
            raise OSError(errno.EPERM, "somebody has put something else in its place")
        if owner not in ((-1, -1), (status.st_uid, status.st_gid)):
            os.chown(f"/proc/self/fd/{made}", *owner)
        return status
    finally:
        os.close(made)
