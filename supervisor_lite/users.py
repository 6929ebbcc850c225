"""Users and groups of users of this machine, as a configuration names them (getpwnam(3))."""

from __future__ import annotations

import grp
import os
import pwd
from typing import NamedTuple


class User(NamedTuple):
    """A resolved user: everything setuid needs."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    """All groups, the first one included."""
    home: str


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdecimal()


def _user_entry(user: str) -> pwd.struct_passwd:
    return pwd.getpwuid(int(user)) if _is_number(user) else pwd.getpwnam(user)


def _group_entry(group: str) -> grp.struct_group:
    return grp.getgrgid(int(group)) if _is_number(group) else grp.getgrnam(group)


def user_exists(user: str) -> bool:
    """Is there a user with this login name or number?"""
    try:
        _user_entry(user)
    except (KeyError, OverflowError, ValueError):  # a number too large; a NUL
        return False
    return True


def group_exists(group: str) -> bool:
    """Is there a group of users with this name or number?"""
    try:
        _group_entry(group)
    except (KeyError, OverflowError, ValueError):
        return False
    return True


def user_names() -> list[str]:
    """Return all login names."""
    return [entry.pw_name for entry in pwd.getpwall()]


def group_names() -> list[str]:
    """Return the names of all groups of users."""
    return [entry.gr_name for entry in grp.getgrall()]


def find_user(user: str) -> User:
    """Return the user with this login name or number. Raises KeyError if there is none."""
    entry = _user_entry(user)
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir)


def become(user: User) -> None:
    """Give up what we are for this user, for good (setuid(2)). Raises OSError."""
    os.setgroups(user.groups)
    os.setgid(user.gid)
    os.setuid(user.uid)


def user_name(uid: int) -> str:
    """Return the login name of a uid, or the number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def user_id(user: str) -> int:
    """Return the uid of a login name or number. Raises KeyError if there is no such name."""
    return int(user) if _is_number(user) else pwd.getpwnam(user).pw_uid


def group_id(group: str) -> int:
    """Return the gid of a group name or number. Raises KeyError if there is no such name."""
    return int(group) if _is_number(group) else grp.getgrnam(group).gr_gid


def owner_ids(owner: str | None, group: str | None, otherwise: tuple[int, int]) -> tuple[int, int]:
    """Return uid and gid of an owner and a group, of `otherwise` what is not given.

    Raises KeyError; its argument says in words who there is not.
    """
    uid, gid = otherwise
    return (
        user_id(owner) if owner is not None else uid,
        group_id(group) if group is not None else gid,
    )
