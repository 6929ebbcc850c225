"""Who a child runs as."""

from __future__ import annotations

import os

from supervisor_lite.errors import SpawnError, SpawnErrorCode
from supervisor_lite.host.kernel_files import read_value
from supervisor_lite.users import User, find_user

_CAP_SETUID = 7


def lookup(user: str) -> User:
    """Return the user with this login name or numeric uid, with its supplementary groups.

    Raises SpawnError if there is none.
    """
    try:
        return find_user(user)
    except KeyError:
        text = f'cannot find the user "{user}"'
        raise SpawnError(text, SpawnErrorCode.USER, user) from None


def ids(user: str | None) -> tuple[int, int]:
    """Return uid and gid of a program's user; our own if it has none. Raises SpawnError."""
    if user is None:
        return os.geteuid(), os.getegid()
    found = lookup(user)
    return found.uid, found.gid


def believed(user: str | None) -> list[int]:
    """Return whose word counts about a program: ours, and its user's if that still exists."""
    try:
        return [os.getuid(), ids(user)[0]]
    except SpawnError:
        return [os.getuid()]


def not_root_hint(uid: int | None = None) -> str:
    """Return what to do if a user cannot be become because this uid (ours) is not root's."""
    uid = os.geteuid() if uid is None else uid
    if uid == 0:
        return ""
    return f"only root can, and the daemon is uid {uid}; start it as root, or leave user out"


def can_become_others(uid: int) -> bool:
    """Can a daemon of this uid, started as we are, become another user (capabilities(7))?"""
    if uid == 0:
        return True
    if uid != os.geteuid():
        return False  # it gives up being root
    for line in read_value("/proc/self/status").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SETUID & 1)
    return False
