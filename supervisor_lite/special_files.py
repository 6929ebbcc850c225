"""Paths of logs that are no regular files: a device, a pipe, a descriptor of the daemon's own.

They are written to as what they are, and never rotated, renamed, emptied or made.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Final

from supervisor_lite import safe_paths

_STANDARD: Final = re.compile(
    r"/dev/(stdin|stdout|stderr)|(?:/dev|/proc/(?:thread-)?self)/fd/(\d+)"
)
_NUMBERS: Final = {"stdin": 0, "stdout": 1, "stderr": 2}
_KERNELS: Final = ("/dev/", "/proc/")
"""Where nobody makes a log; but /dev/shm is a place like /tmp."""


def standard_number(path: str) -> int | None:
    """Return N if the path means the daemon's own descriptor N, also by a link. Never raises."""
    match = _STANDARD.fullmatch(path)
    if match is None:
        try:
            if not stat.S_ISLNK(os.lstat(path).st_mode):
                return None
            with safe_paths.locate(path) as place:
                match = _STANDARD.fullmatch(place.name) if place.directory is None else None
        except (OSError, ValueError):
            return None
    if match is None:
        return None
    return _NUMBERS[match[1]] if match[1] else int(match[2])


def is_special(path: str) -> bool:
    """Tell whether a path is something else than a regular file, or a place for one."""
    if _STANDARD.fullmatch(path) or path.startswith("/proc/"):
        return True
    try:
        with safe_paths.at(path) as place:
            status = place.status()
        if status is not None and stat.S_ISLNK(status.st_mode):
            if standard_number(path) is not None:
                return True
            status = safe_paths.file_status(path)
    except (OSError, ValueError):  # it cannot be looked at; a NUL in a path
        return False
    if status is None:
        return path.startswith(_KERNELS) and not path.startswith("/dev/shm/")
    return not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode))


def special_error(path: str) -> str:
    """Return why no log can be written to a special path; empty if one can, as far as it shows."""
    number = standard_number(path)
    if number is not None:
        text = "the daemon keeps no descriptor for that but its stdout and stderr"
        return "" if number in (1, 2) else f"cannot write {path}: {text}"
    try:
        status = safe_paths.file_status(path)
    except OSError as error:
        return f"cannot write {path}: {error.strerror}"
    if status is None:
        return f"cannot write {path}: there is no such file, and none can be made there"
    if stat.S_ISBLK(status.st_mode):
        return f"cannot write {path}: it is a disk (a block device)"
    if stat.S_ISSOCK(status.st_mode):
        return f'cannot write {path}: it is a socket; for that of syslog, write "syslog"'
    return f"cannot write {path}: it is a directory" if stat.S_ISDIR(status.st_mode) else ""
