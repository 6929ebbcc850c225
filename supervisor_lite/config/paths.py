"""What the file system says about the paths in a configuration: nothing is changed here."""

from __future__ import annotations

import os
import stat
from collections.abc import Container

from supervisor_lite.protocol import locate


def log_error(path: str, own_directories: tuple[str, ...]) -> str:
    """Return why no log can be written at `path`; empty if one can.

    `own_directories` are directories that the daemon makes at its start.
    """
    if os.path.isdir(path):
        return f"cannot write {path}: it is a directory"
    directory = os.path.dirname(path)
    if directory in own_directories and (not os.path.exists(directory) or is_read_only(directory)):
        return ""
    return directory_error(directory)


def directory_error(path: str) -> str:
    """Return why files cannot be made in `path`; empty if they can."""
    if not os.path.exists(path):
        return f"there is no directory {path}"
    if not os.path.isdir(path):
        return f"{path} is not a directory"
    return "" if _can_write(path) else f"no permission to write in {path}"


def own_directory_error(path: str) -> str:
    """Return why a directory that we make at start cannot be made or used; empty if it can."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return directory_error(path)


def is_read_only(path: str) -> bool:
    """Is this on a file system that nobody can write to now? That is no mistake in a file."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _can_write(directory: str) -> bool:
    return os.access(directory, os.W_OK | os.X_OK, effective_ids=True)


def owner_uid(path: str) -> int | None:
    """Return the uid to which a file or directory belongs; None if it cannot be looked at."""
    try:
        return os.stat(path).st_uid
    except OSError:
        return None


def is_writable_by_others(path: str) -> bool:
    """Tell whether somebody else than root may change a file or directory."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    by_group = bool(status.st_mode & stat.S_IWGRP) and status.st_gid != 0
    return status.st_uid != 0 or by_group or bool(status.st_mode & stat.S_IWOTH)


def directory_of_others(path: str, daemon: int) -> str:
    """Say which directory on the way to a file belongs neither to root nor to the daemon's user.

    Empty if there is none. `daemon` is that user's uid.
    """
    directory = os.path.realpath(os.path.dirname(path))
    ours = {0, daemon, os.geteuid(), owner_uid("/")}
    while directory != "/":
        owner = owner_uid(directory)
        if owner is not None and owner not in ours:
            return f"{directory} belongs to uid {owner}, who can put what they like in its place"
        directory = os.path.dirname(directory)
    return ""


def can_list(directory: str) -> bool:
    """May its names be read? One that may not looks empty."""
    return os.access(directory, os.R_OK | os.X_OK, effective_ids=True)


def unread(directory: str, read: Container[str]) -> list[str]:
    """Return the *.toml files of a directory of which the absolute paths are not in `read`."""
    try:
        labels = locate.toml_files(directory)
    except OSError:
        return []
    return [label for label in labels if os.path.abspath(label) not in read]
