"""The rule: who may have made what is on the way to a file, and at its end."""

from __future__ import annotations

import errno
import functools
import os
import stat

_becoming = -1


def count_as_ours(uid: int) -> None:
    """Let what belongs to this user count as ours: root is about to become them."""
    global _becoming
    _becoming = uid


def is_of_another_self(uid: int) -> bool:
    """Tell whether this is the user whom root is about to become."""
    return uid == _becoming and uid not in (0, os.geteuid())


def is_closed(directory: os.stat_result) -> bool:
    """Tell whether only root and we may put files into a directory."""
    return is_trusted(directory.st_uid) and not directory.st_mode & 0o022


def planted(file: os.stat_result, directory: os.stat_result) -> tuple[int, str] | None:
    """Return errno and why a file is not to be used that others may have put there."""
    by_group = bool(directory.st_mode & stat.S_IWGRP)
    others = "and others may write to its directory"
    ours = is_trusted(file.st_uid)
    if not stat.S_ISREG(file.st_mode):
        return (
            None
            if ours
            else (errno.EPERM, f"it is no regular file, belongs to uid {file.st_uid}, {others}")
        )
    if file.st_nlink > 1:
        return errno.EMLINK, f"it has a second name (a hard link), {others}"
    if ours or file.st_uid == directory.st_uid or (by_group and file.st_gid == directory.st_gid):
        return None
    return errno.EPERM, f"it belongs to uid {file.st_uid}, {others}"


def is_trusted(uid: int) -> bool:
    """Tell whether what belongs to this user is root's or our own."""
    return uid in (0, os.geteuid(), _becoming, _owner_of_all())


@functools.cache
def _owner_of_all() -> int:
    """Return whose the root directory is: root's, but in a user namespace without root (nobody)."""
    return os.stat("/").st_uid


def may_be_exchanged(directory: os.stat_result, *, by_group: bool = False) -> bool:
    """Tell whether others than root and we may exchange what is in a directory.

    A group is not asked about without `by_group`: /var/log is one's on some systems.
    """
    mode = directory.st_mode
    somebody = is_for_others(directory) if by_group else bool(mode & stat.S_IWOTH)
    return (somebody and not mode & stat.S_ISVTX) or not is_trusted(directory.st_uid)


def is_for_others(directory: os.stat_result) -> bool:
    """Tell whether others, or a group that is neither root's nor our own, may put files there."""
    by_group = directory.st_mode & stat.S_IWGRP and directory.st_gid not in (0, os.getegid())
    return bool(by_group or directory.st_mode & stat.S_IWOTH)


def mistrust(link: os.stat_result, *, private: bool) -> str:
    """Return why a link is not followed, empty if it is.

    `private`: nobody else can have moved it there.
    """
    if not is_trusted(link.st_uid):
        return f"belongs to uid {link.st_uid} and is not followed"
    if not private:
        return "is not followed: others than root and the daemon may have moved it there"
    return "has a second name (a hard link) and is not followed" if link.st_nlink > 1 else ""
