"""Who a child runs as."""

from __future__ import annotations

import grp
import os
import pwd
from typing import NamedTuple

from supervisor_lite.errors import SpawnError


class User(NamedTuple):
    """A resolved user: everything setuid needs."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    shell: str


def lookup(user: str) -> User:
    """Return the user with this login name or numeric uid, with its supplementary groups.

    Raises SpawnError if there is none.
    """
    try:
        entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        raise SpawnError(f'cannot find the user "{user}"') from None
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir, entry.pw_shell)


def name_of(uid: int) -> str:
    """Return the login name of a uid, or the number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def user_id(user: str) -> int:
    """Return the uid of a login name or number. Raises KeyError if there is none."""
    return int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid


def group_id(group: str) -> int:
    """Return the gid of a group name or number. Raises KeyError if there is none."""
    return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid


def ids(user: str | None) -> tuple[int, int]:
    """Return uid and gid of a program's user; our own if it has none. Raises SpawnError."""
    if user is None:
        return os.geteuid(), os.getegid()
    found = lookup(user)
    return found.uid, found.gid
