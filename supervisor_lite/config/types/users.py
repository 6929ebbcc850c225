"""Users and groups of this system, and what they may do."""

from __future__ import annotations

from collections.abc import Callable

from supervisor_lite.config.types.base import Json, ValueType, choice
from supervisor_lite.config.types.compound import ListOf
from supervisor_lite.config.types.text import STRING
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.protocol.commands import ROLES
from supervisor_lite.text import suggest


def user(value: object) -> str:
    """Return the name or number of a user that exists, as written."""
    import pwd

    return _account(value, pwd.getpwuid, pwd.getpwnam, lambda: [u.pw_name for u in pwd.getpwall()])


def user_group(value: object) -> str:
    """Return the name or number of a group of users that exists, as written."""
    import grp

    return _account(value, grp.getgrgid, grp.getgrnam, lambda: [g.gr_name for g in grp.getgrall()])


def _account(
    value: object,
    by_number: Callable[[int], object],
    by_name: Callable[[str], object],
    all_names: Callable[[], list[str]],
) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        raise BadValueError
    try:
        if value.isascii() and value.isdecimal():
            by_number(int(value))
        else:
            by_name(value)
    except (KeyError, OverflowError, ValueError):
        raise BadValueError(hint=suggest(value, all_names())) from None
    return value


_SCHEMA: Json = {"anyOf": [STRING, {"type": "integer", "minimum": 0}]}

USER = ValueType("a user of this system", user, _SCHEMA)
USERS = ListOf("a list of users", USER)
USER_GROUP = ValueType("a group of users of this system", user_group, _SCHEMA)
USER_GROUPS = ListOf("a list of groups of users", USER_GROUP)
ROLE = choice({role: role for role in ROLES})
