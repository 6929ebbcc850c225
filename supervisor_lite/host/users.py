"""Who a child runs as."""

from __future__ import annotations

import os

from supervisor_lite.errors import SpawnError, SpawnErrorCode
from supervisor_lite.users import User, find_user


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
