"""Read a file that holds secrets, as the daemon and for a program that may be another user.

What a program's user can write must not lead a daemon that is root to a file of root: a link
counts only if root or the daemon has made it (safe_paths), and a file only if it has no second name
(a hard link can be made by whoever can see a file).
"""

from __future__ import annotations

import errno
import os
import stat

from supervisor_lite import safe_paths
from supervisor_lite.files import reopen_regular

MAX_BYTES = 1 << 20
"""Bytes: more is no secret but a mistake."""


def read_secret(path: str) -> bytes:
    """Return what a file holds.

    Raises OSError; its `strerror` says in words what is wrong, and nothing of what is in the file.
    """
    with safe_paths.locate(path) as place:
        found = os.open(place.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.fd)
    try:
        status = os.fstat(found)
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            raise OSError(errno.EMLINK, "it has a second name (a hard link)")
        if status.st_size > MAX_BYTES:
            raise OSError(errno.EFBIG, f"it is larger than {MAX_BYTES >> 20} MB")
        with open(reopen_regular(found), "rb", buffering=0) as file:
            return file.read(MAX_BYTES) or b""
    finally:
        os.close(found)
