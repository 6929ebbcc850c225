# ruff: noqa: E501 - a table: one key, one line
"""The keys of [gateway]."""

from __future__ import annotations

from supervisor_lite.config.schema.key import Key, Shape, TableSchema
from supervisor_lite.config.types import basic, gateway, units, users
from supervisor_lite.model.settings import GatewaySettings

GATEWAY = TableSchema(
    "gateway",
    Shape.ONE,
    "What is served over HTTP, by a process `gateway` that the daemon runs by itself; without this table nothing is. In the main file only. See docs/gateway.md.",
    (
        Key("listen", gateway.ADDRESSES, "Unix sockets and addresses of this machine; without a host the loopback, `*` is every interface.", required=True),
        Key("socket_mode", units.OCTAL, "Permissions of its Unix sockets.", GatewaySettings),
        Key("socket_owner", users.USER, "Owner of its Unix sockets.", GatewaySettings, shown="who the gateway is"),
        Key("socket_group", users.USER_GROUP, "Group of its Unix sockets.", GatewaySettings, shown="that of the gateway"),
        Key("socket_role", users.ROLE, "What those may do who come over a Unix socket: the permissions of the file say who can.", GatewaySettings),
        Key("socket_password", basic.BOOLEAN, "Ask for a password on Unix sockets, too.", GatewaySettings),
        Key("user", users.USER, "Started by root, the gateway becomes this user after it has bound its sockets.", GatewaySettings, shown="of root's daemon `supervisor-lite` if there is such a user, else `nobody`"),
        Key("autostart", basic.BOOLEAN, "Start the daemon's own gateway with the daemon; false if something else runs `supervisor-lite-gateway`.", GatewaySettings),
        Key("hosts", gateway.HOSTS, "Names under which browsers reach it, besides addresses and localhost.", default=[]),
        Key("users", gateway.USERS, "Who may come with a password: name, password_hash (by `slctl passwd`), role (view, operate, admin). TCP needs at least one.", default=[]),
    ),
)  # fmt: skip
