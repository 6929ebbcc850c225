"""Bind a Unix socket with its mode and owner, in a directory that may be somebody else's."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat


def bind_unix(path: str, mode: int, owner: tuple[int, int], backlog: int) -> socket.socket:
    """Return a socket that listens at `path`, close-on-exec and blocking.

    It is bound under another name and renamed, over a socket that is there: nobody ever sees it
    with another owner, or not there at all. The socket's own address (getsockname(2)) stays that
    other name. `owner` is uid and gid, -1 for our own. Raises OSError, also if somebody listens
    there, and if what is there is no socket: a mistyped path costs nobody a file.
    """
    fresh = f"{path[:-1]}~"  # no longer than the path itself: sun_path has room for 107 bytes
    _refuse_file(fresh)
    if _refuse_file(path):
        _refuse_served(path)
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


def _refuse_file(path: str) -> bool:
    """Tell whether there is a socket; raise OSError if there is something else.

    A link is neither: whoever may write to the directory can have made it, and what it leads to
    stays when it is replaced.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    is_socket = stat.S_ISSOCK(status.st_mode)
    if not is_socket and not stat.S_ISLNK(status.st_mode) and status.st_nlink == 1:
        raise OSError(errno.EEXIST, "there is something else than a socket", path)
    return is_socket


def _refuse_served(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return
        except TimeoutError:
            pass  # somebody has it open and is busy
    raise OSError(errno.EADDRINUSE, "somebody is listening there already", path)


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
