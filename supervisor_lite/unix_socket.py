"""Bind a Unix socket so that nobody ever sees it with another mode or owner than it is to have."""

from __future__ import annotations

import contextlib
import os
import socket


def bind_unix(path: str, mode: int, owner: tuple[int, int], backlog: int) -> socket.socket:
    """Return a socket that listens at `path`, close-on-exec and blocking.

    It is bound under another name and renamed, over whatever is there: that nobody listens there
    is the caller's to know. The socket's own address (getsockname(2)) stays that other name.
    `owner` is uid and gid, -1 for our own. Raises OSError.
    """
    fresh = f"{path[:-1]}~"  # no longer than the path itself: sun_path has room for 107 bytes
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o777)
    try:
        sock.bind(fresh)
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(before)
    try:
        if owner != (-1, -1):
            os.chown(fresh, *owner)
        os.chmod(fresh, mode)
        sock.listen(backlog)
        os.rename(fresh, path)
    except BaseException:
        os.unlink(fresh)
        sock.close()
        raise
    return sock
