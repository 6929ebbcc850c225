"""The live file of a log: opened where nobody has planted something, emptied."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from typing import Final

from supervisor_lite import safe_paths
from supervisor_lite.safe_paths import Place

_FLAGS: Final = os.O_RDWR | os.O_CREAT


def open_at_end(path: str, mode: int) -> int:
    """Open the live file, or make it; raises OSError. The umask takes from the mode."""
    return _checked(safe_paths.open_file(path, _FLAGS, mode))


def open_in(place: Place, mode: int) -> int:
    """Do the same in a directory that is held open."""
    return _checked(place.open(_FLAGS, mode))


def open_or_make_directory(path: str, mode: int, report: Callable[[str], None]) -> int:
    """Do the same where the directory may have vanished: it is made anew, and reported."""
    try:
        return open_at_end(path, mode)
    except FileNotFoundError:
        directory = os.path.dirname(path)
        # Who may read the log may enter its directory.
        if safe_paths.make_directories(directory, mode | (mode & 0o444) >> 2 | 0o100):
            report(f'log directory "{directory}" had vanished and was made anew')
        return open_at_end(path, mode)


def empty(path: str) -> None:
    """Empty a live file that is not open; raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        fd = _checked(safe_paths.open_file(path, os.O_WRONLY))
        try:
            os.ftruncate(fd, 0)
        finally:
            os.close(fd)


def _checked(fd: int) -> int:
    """Return the descriptor of a regular file; raises OSError for anything else."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "Not a regular file")
    return fd
