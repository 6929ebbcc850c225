# ruff: noqa: E501 - a table: one key, one line
"""The keys of [[access]]."""

from __future__ import annotations

from supervisor_lite.config.schema.key import Key, Shape, TableSchema
from supervisor_lite.config.types import text, users
from supervisor_lite.model.settings import AccessRule

ACCESS = TableSchema(
    "access",
    Shape.LIST,
    "Who may do what over the control socket, besides root and the daemon's own user.",
    (
        Key("role", users.ROLE, "view: see; operate: also start, stop, restart, signal; admin: everything.", AccessRule, required=True),
        Key("users", users.USERS, "These users …", default=[]),
        Key("groups", users.USER_GROUPS, "… and the members of these groups of users.", default=[]),
        Key("programs", text.STRINGS, "Which processes: patterns over GROUP:PROCESS.", AccessRule),
    ),
)  # fmt: skip
