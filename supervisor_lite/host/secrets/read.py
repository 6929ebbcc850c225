"""Read a file that holds secrets, as the daemon and for a program that may be another user.

What a program's user can write must not lead a daemon that is root to a file of root: a link
counts only if root or the daemon has made it, and a file only if it has no second name (a hard
link can be made by whoever can see a file). Every step is taken from the directory before it, so
that nothing can be exchanged on the way (openat(2), O_PATH).
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque

MAX_BYTES = 1 << 20
"""Bytes: more is no secret but a mistake."""

_MAX_LINKS = 40
"""As the kernel has it (path_resolution(7))."""

_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def read_secret(path: str) -> bytes:
    """Return what a file holds.

    Raises OSError; its `strerror` says in words what is wrong, and nothing of what is in the file.
    """
    found = _walk(path)
    try:
        status = os.fstat(found)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        if status.st_nlink > 1:
            raise OSError(errno.EMLINK, "it has a second name (a hard link)")
        if status.st_size > MAX_BYTES:
            raise OSError(errno.EFBIG, f"it is larger than {MAX_BYTES >> 20} MB")
        with open(f"/proc/self/fd/{found}", "rb", buffering=0) as file:
            return file.read(MAX_BYTES) or b""
    finally:
        os.close(found)


def _walk(path: str) -> int:
    """Return a descriptor (O_PATH) of what an absolute path leads to."""
    names = deque(path.split("/"))
    links = 0
    place = os.open("/", _LOOK)
    try:
        while names:
            name = names.popleft()
            if name in ("", "."):
                continue
            found = os.open(name, _LOOK, dir_fd=place)
            status = os.fstat(found)
            if not stat.S_ISLNK(status.st_mode):
                os.close(place)
                place = found
                continue
            try:
                links += 1
                target = _target(found, status, links, place, name)
            finally:
                os.close(found)
            names.extendleft(reversed(target.split("/")))
            if target.startswith("/"):
                os.close(place)
                place = os.open("/", _LOOK)
    except OSError:
        os.close(place)
        raise
    return place


def _target(link: int, status: os.stat_result, count: int, place: int, name: str) -> str:
    """Return where a link leads that is called `name` in the directory `place`."""
    if count > _MAX_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if status.st_uid not in (0, os.geteuid()):
        path = os.path.join(os.readlink(f"/proc/self/fd/{place}"), name)
        raise OSError(errno.EPERM, f'the link "{path}" belongs to uid {status.st_uid}')
    return os.readlink("", dir_fd=link)
