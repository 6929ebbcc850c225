"""Small files: read without a wait, whoever owns them, and written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat

from supervisor_lite import safe_paths


def open_regular(path: str) -> int:
    """Open a file that may be anybody's to read it, links followed; it never blocks.

    Looked at before it is opened: opening is an act with a device (watchdog(4), tape), and waits
    with a FIFO, or with a file on which its owner holds a lease (fcntl(2)). Raises OSError.
    """
    found = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return reopen_regular(found)
    finally:
        os.close(found)


def reopen_regular(found: int) -> int:
    """Open what a descriptor (O_PATH) leads to, to read it, if it is a regular file; OSError."""
    if not stat.S_ISREG(os.fstat(found).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    try:
        return os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except BlockingIOError as error:
        raise OSError(error.errno, "its owner holds a lease on it") from None


def write_whole(path: str, text: str, mode: int) -> None:
    """Have a file hold this text: whoever opens it reads all of the old or all of the new.

    It is written beside and renamed (rename(2)), as `path` with ".new". The directory may be one
    that others write to: a file of theirs is not written to. Raises OSError.
    """
    with safe_paths.at(path) as place:
        fresh = f"{place.name}.new"
        place.unlink(fresh, missing_ok=True)
        with os.fdopen(place.create(fresh, os.O_WRONLY, mode), "w", encoding="utf-8") as file:
            file.write(text)
        place.rename(fresh, place.name)


def is_missing(path: str) -> bool:
    """Tell whether there is certainly nothing at `path`; what may not be looked at may be there."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
