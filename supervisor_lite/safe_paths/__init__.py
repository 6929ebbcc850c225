"""Files by descriptors of their directories, so that nobody can lead us somewhere else.

A log, a socket or a pid file may lie in a directory that another user owns: a program's user, for
whom we are root. Whoever may rename what is in a directory on the way can put a link, or another
directory, in its place at any moment, also between two of our system calls. So a path is walked
step by step (openat(2), O_PATH), and what is done at its end is done in the directory that was
found (renameat(2), unlinkat(2), mkdirat(2)).

One rule says what counts on the way, and it asks who may have made it:

- A directory may be anybody's. Nothing there is ours but what we make.
- A symbolic link is followed if root or we have made it, it has no second name, and nobody else
  could have moved it there: every directory that was walked through belongs to root or to us, and
  is not writable by everybody, or is sticky (inode(7)), like /tmp.
- A file is used if only root and we may put files into its directory. In any other directory it
  has to have one name and to belong to root, to us, or to the owner of the directory (where a group
  may write: to that group); what is no regular file, such as a FIFO, has to be root's or ours.

Links in /proc are the kernel's and lead to what has no path: such a path is the kernel's to follow.
"""

from __future__ import annotations

import errno
import os
import stat

from supervisor_lite.safe_paths.known import KnownWay
from supervisor_lite.safe_paths.place import SAFE, Place
from supervisor_lite.safe_paths.rule import count_as_ours, is_for_others
from supervisor_lite.safe_paths.walk import Walk

__all__ = [
    "Place", "at", "count_as_ours", "file_status", "is_ours_alone", "locate", "make_directories",
    "open_directory", "open_file",
]  # fmt: skip

_known: dict[str, KnownWay] = {}
"""Directories to which the whole way is only ours, by path.

Their paths are used as they are: nobody could exchange a directory between a look and its use.
"""
_MAX_KNOWN = 100


def at(path: str) -> Place:
    """Return the place of a path, its last component not looked at. Raises OSError."""
    directory, _, name = path.rpartition("/")
    plain = directory.startswith("/") and name not in ("", ".", "..")
    known = _known.get(directory) if plain else None
    if known is not None and (status := known.status()) is not None:
        return Place(path, None, path, status, private=True)
    walk = Walk(path)
    place = walk.place()
    if plain and walk.is_ours_alone and place.directory is not None:
        if len(_known) > _MAX_KNOWN:
            _known.clear()
        _known[directory] = walk.way(directory)
    return place


def locate(path: str) -> Place:
    """Return the place that a path leads to, links at its end followed. Raises OSError."""
    return Walk(path).destination()


def open_file(path: str, flags: int, mode: int = 0o644) -> int:
    """Open a file like open(2), but nothing that others have planted. Raises OSError."""
    with at(path) as place:
        try:
            return place.open(flags, mode)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
    with locate(path) as place:  # a link, perhaps one of those that count
        return place.open(flags, mode)


def file_status(path: str) -> os.stat_result | None:
    """Return what a path leads to; None if nothing is there. Raises OSError."""
    with at(path) as place:
        status = place.status()
    if status is None or not stat.S_ISLNK(status.st_mode):
        return status
    with locate(path) as place:
        return place.status()


def open_directory(path: str, *, make: int | None = None) -> tuple[int, bool]:
    """Return a descriptor of a directory, and whether it was made just now. Raises OSError.

    With `make`, a mode, it is made if it is missing, and what is missing above it.
    """
    walk = Walk(path)
    made = walk.enter(make)
    with walk.here() as place:
        return os.open(place.name, os.O_RDONLY | os.O_DIRECTORY | SAFE, dir_fd=place.fd), made


def is_ours_alone(path: str) -> bool:
    """Tell whether only root and we may put files into a directory, or exchange it. OSError."""
    walk = Walk(path)
    walk.enter(None)
    with walk.here() as place:
        status = place.directory
    return status is not None and walk.is_ours_alone and not is_for_others(status)


def make_directories(path: str, mode: int = 0o755) -> bool:
    """Make a directory and what is missing above it; tell whether it was not there. OSError."""
    fd, made = open_directory(path, make=mode)
    os.close(fd)
    return made
