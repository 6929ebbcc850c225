"""Users and groups of this system, and what they may do."""

from __future__ import annotations

from collections.abc import Callable

from supervisor_lite import users
from supervisor_lite.config.types.base import Json, ValueType, choice
from supervisor_lite.config.types.compound import ListOf
from supervisor_lite.config.types.text import STRING
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.protocol.commands import ROLES
from supervisor_lite.text import suggest


def user(value: object) -> str:
    """Return the name or number of a user that exists, as written."""
    return _account(value, users.user_exists, users.user_names)


def user_group(value: object) -> str:
    """Return the name or number of a group of users that exists, as written."""
    return _account(value, users.group_exists, users.group_names)


def _account(
    value: object, exists: Callable[[str], bool], all_names: Callable[[], list[str]]
) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        raise BadValueError
    if not exists(value):
        raise BadValueError(hint=suggest(value, all_names()))
    return value


_SCHEMA: Json = {"anyOf": [STRING, {"type": "integer", "minimum": 0}]}

USER = ValueType("a user of this system", user, _SCHEMA)
USERS = ListOf("a list of users", USER)
USER_GROUP = ValueType("a group of users of this system", user_group, _SCHEMA)
USER_GROUPS = ListOf("a list of groups of users", USER_GROUP)
ROLE = choice({role: role for role in ROLES})
