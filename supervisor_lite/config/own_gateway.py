"""The gateway that the daemon runs by itself: the program for which a [gateway] table stands.

It is an ordinary program of the plan, as if somebody had written `[program.gateway]`. Where
somebody has, or runs `supervisor-lite-gateway` as a program of another name, that one stays the
one. Either way its definition holds a mark of the table, so that a change of the table, such as a
user that is removed, is a change of the program: `update` restarts it.
"""

from __future__ import annotations

import os
import sys
from binascii import crc32
from collections.abc import Iterator

from supervisor_lite import extras, users
from supervisor_lite.config.diagnostics import Diagnostics
from supervisor_lite.config.read import Entry, Tables
from supervisor_lite.config.wording import dotted
from supervisor_lite.model.plan import Group, Plan
from supervisor_lite.model.program import Program
from supervisor_lite.model.settings import DaemonSettings, GatewaySettings

NAME = "gateway"
MARK = "SUPERVISOR_LITE_GATEWAY"
"""The variable in its environment that differs when the table does."""

_COMMAND = "supervisor-lite-gateway"
_MODULE = "supervisor_lite.gateway"

_SOCKET_KEYS = ("socket_mode", "socket_owner", "socket_group")

_ALWAYS = 1_000_000
"""Tries: one a minute for two years."""

_UNPRIVILEGED = ("supervisor-lite", "nobody")
"""Whom root's gateway becomes unless the table says it: the package's user, or anybody's."""


def define(
    tables: Tables,
    settings: DaemonSettings,
    gateway: GatewaySettings,
    config: str,
    diagnostics: Diagnostics,
) -> None:
    """Put the program among the tables, unless the configuration has one that runs it.

    `config` is the absolute path of the configuration.
    """
    table = tables.single[NAME]
    programs = tables.named.get("program", {})
    if not tables.complete or any(map(_is_for_gateway, programs.values())):
        return
    for kind in ("program", "group", "eventlistener"):
        if (other := tables.named.get(kind, {}).get(NAME)) is not None:
            text = (
                f"nothing serves it: {dotted(other.location.path)} ({other.location}) has the name"
                " that the daemon's own gateway would have, and does not run"
                f" {_COMMAND}; give it another name, or run {_COMMAND} as a program"
            )
            diagnostics.warn(table.location, text)
            return
    if gateway.autostart and (module := extras.missing("gateway")):
        text = f"cannot be served: {module} is not installed; run: {extras.advice('gateway')}"
        diagnostics.warn(table.location, text)
    raw: dict[str, object] = {
        "command": [word.replace("%", "%%") for word in _command(config, settings, gateway)],
        "priority": 1,  # the first to start, the last to stop
        "autostart": gateway.autostart,
        "autorestart": True,
        "startretries": _ALWAYS,
        "backoff": "exponential",
        "backoff_max": 60,
        "redirect_stderr": True,
    }
    tables.named.setdefault("program", {})[NAME] = Entry(table.location, raw, {})
    tables.own_gateway = True


def _command(config: str, settings: DaemonSettings, gateway: GatewaySettings) -> list[str]:
    script = os.path.join(os.path.dirname(sys.executable), _COMMAND)
    module = [sys.executable, "-P", "-m", _MODULE]
    words = [script] if os.access(script, os.X_OK) else module
    words += ["-c", config, "-s", settings.socket]
    user = unprivileged_user(settings, gateway)
    return [*words, "--user", user] if user is not None else words


def unprivileged_user(settings: DaemonSettings, gateway: GatewaySettings) -> str | None:
    """Return whom the gateway of this daemon becomes; None if it stays who the daemon is."""
    if os.geteuid() != 0 or settings.user is not None:
        return None
    if gateway.user is not None:
        return gateway.user
    return next(filter(users.user_exists, _UNPRIVILEGED), None)


def open_socket(
    tables: Tables, settings: DaemonSettings, gateway: GatewaySettings, diagnostics: Diagnostics
) -> DaemonSettings:
    """Return settings whose control socket lets the unprivileged gateway of root's daemon in.

    Being let in is not being allowed anything: that is what [[access]] is for. What [daemon] says
    about the socket stays; if the gateway is not let in then, that is a warning.
    """
    user = unprivileged_user(settings, gateway) if tables.own_gateway else None
    if user is None:
        return settings
    found = users.find_user(user)
    if found.uid == 0:
        return settings
    daemon = tables.single.get("daemon")
    key = next((key for key in _SOCKET_KEYS if daemon and key in daemon.raw), None)
    if daemon is None or key is None:
        return settings._replace(gateway_group=found.gid)
    if not _lets_in(settings, found):
        text = (
            f"does not let {user} in, who the gateway is: leave {' and '.join(_SOCKET_KEYS)} away,"
            f' or set socket_group to a group of {user} and socket_mode = "660"'
        )
        diagnostics.warn(daemon.at(key), text)
    return settings


def _lets_in(settings: DaemonSettings, user: users.User) -> bool:
    mode = settings.socket_mode
    uid, gid = users.owner_ids(settings.socket_owner, settings.socket_group, (0, os.getegid()))
    if uid == user.uid:
        return mode & 0o600 == 0o600
    return mode & (0o060 if gid in user.groups else 0o006) in (0o060, 0o006)


def with_marks(plan: Plan, gateway: GatewaySettings, *, own: bool) -> Plan:
    """Return the plan whose gateways are changed when the table is; `own`: we have made one."""
    mark = f"{crc32(repr(gateway).encode()):08x}"
    changed = {group.name: group for group in _marked(plan, mark, own=own)}
    return Plan(groups={**plan.groups, **changed}) if changed else plan


def _marked(plan: Plan, mark: str, *, own: bool) -> Iterator[Group]:
    for group in plan.groups.values():
        if any(map(_mentions_gateway, group.processes)):
            internal = own and group.name == NAME
            yield group._replace(
                processes=tuple(
                    _with_mark(program, mark, internal=internal)
                    if _mentions_gateway(program)
                    else program
                    for program in group.processes
                )
            )


def _with_mark(program: Program, mark: str, *, internal: bool) -> Program:
    environment = {**program.environment, MARK: mark}
    return program._replace(environment=environment, internal=internal)


def runs_gateway(program: Program) -> bool:
    """Does this program run the gateway itself, not by way of another?"""
    return any(
        word == _MODULE or os.path.basename(word) == _COMMAND for word in program.command[:8]
    )


def _mentions_gateway(program: Program) -> bool:
    """Does it run the gateway, perhaps by way of a shell?"""
    return any(_COMMAND in word or _MODULE in word for word in program.command)


def _is_for_gateway(entry: Entry) -> bool:
    """Tell the same of a program that is not resolved yet."""
    command = str(entry.raw.get("command", ""))
    return _COMMAND in command or _MODULE in command
