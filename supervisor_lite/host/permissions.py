"""What another user may do with a file, told from outside: by its mode and those above it."""

from __future__ import annotations

import os
import stat
from typing import Final

from supervisor_lite.users import User

READ: Final = 4
ENTER: Final = 1
EXECUTE: Final = 1


def obstacle(path: str, user: User, wanted: int) -> str:
    """Return which path keeps a user from reading, entering or executing `path`; empty if none.

    Empty also where it cannot be told: an access control list, a path that we may not see.
    """
    for each in dict.fromkeys((os.path.abspath(path), os.path.realpath(path))):
        parents = _parents(each)
        for directory in parents:
            if not _may(directory, user, ENTER):
                return directory
        if not _may(each, user, wanted):
            return each
    return ""


def _parents(path: str) -> list[str]:
    """Return the directories on the way to a path, the first one first."""
    found: list[str] = []
    while (path := os.path.dirname(path)) not in found:
        found.append(path)
    return found[::-1]


def _may(path: str, user: User, wanted: int) -> bool:
    try:
        status = os.stat(path)
        if _has_list(path):
            return True
    except OSError:
        return True
    mode = status.st_mode
    if user.uid == 0:
        return wanted == READ or stat.S_ISDIR(mode) or bool(mode & 0o111)
    if status.st_uid == user.uid:
        mode >>= 6
    elif status.st_gid in (user.gid, *user.groups):
        mode >>= 3
    return bool(mode & wanted)


def _has_list(path: str) -> bool:
    """Has it an access control list (acl(5))?"""
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except OSError:
        return False
