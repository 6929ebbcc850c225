"""Who may do what: the peer's credentials, and the roles that the configuration grants."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from supervisor_lite.host.syscalls import peer_groups
from supervisor_lite.model.settings import AccessRule
from supervisor_lite.protocol.commands import ADMIN, METHODS, ROLES
from supervisor_lite.sockets import peer_of
from supervisor_lite.users import group_id, user_id, user_name


@dataclass(frozen=True, slots=True)
class Caller:
    """The process at the other end of a connection, when it connected (unix(7), SO_PEERCRED)."""

    uid: int
    gid: int
    pid: int
    groups: tuple[int, ...] = ()

    @property
    def user(self) -> str:
        """Name the user."""
        return f"uid {self.uid} ({user_name(self.uid)})"

    @property
    def words(self) -> str:
        """Name the caller for the record of who did what."""
        # 0: it is outside our pid namespace, which has no number for it (pid_namespaces(7)).
        return f"{self.user}, pid {self.pid}" if self.pid else self.user


def caller_of(sock: socket.socket) -> Caller:
    """Return who is at the other end of a Unix socket."""
    peer = peer_of(sock)
    try:
        groups = peer_groups(sock)
    except OSError:
        groups = ()  # more groups than fit, or a kernel before 4.13: the primary one counts
    return Caller(peer.uid, peer.gid, peer.pid, groups)


def grants(caller: Caller, rules: Sequence[AccessRule]) -> list[tuple[str, Sequence[str]]]:
    """Return the (role, program patterns) that the caller has; root and our own user have all."""
    if caller.uid in (0, os.geteuid()):
        return [(ADMIN, ("*",))]
    return [(rule.role, rule.programs) for rule in rules if _concerns(rule, caller)]


def may_all(granted: Sequence[tuple[str, Sequence[str]]], method: str) -> bool:
    """May these grants call the method for whatever process there is?"""
    needed = _rank_of(method)
    return any("*" in patterns and ROLES.index(role) >= needed for role, patterns in granted)


def may(granted: Sequence[tuple[str, Sequence[str]]], method: str, name: str | None) -> bool:
    """May these grants call the method, for the process `name` or for the daemon (None)?"""
    needed = _rank_of(method)
    for role, patterns in granted:
        if ROLES.index(role) < needed:
            continue
        if name is None and (needed < ROLES.index(ADMIN) or "*" in patterns):
            return True
        if name is not None and any(_matches(name, pattern) for pattern in patterns):
            return True
    return False


def _rank_of(method: str) -> int:
    """Return the place among ROLES of the one that the method needs; without a row, the last."""
    row = METHODS.get(method)
    return ROLES.index(row.role if row is not None else ADMIN)


def _matches(name: str, pattern: str) -> bool:
    """Is it the process, also if the pattern spells out `web:web`, which is called `web`?"""
    return fnmatchcase(name, pattern) or (
        ":" not in name and fnmatchcase(f"{name}:{name}", pattern)
    )


def _concerns(rule: AccessRule, caller: Caller) -> bool:
    return any(_uid(user) == caller.uid for user in rule.users) or any(
        _gid(group) in (caller.gid, *caller.groups) for group in rule.groups
    )


def _uid(user: str) -> int | None:
    try:
        return user_id(user)
    except KeyError:
        return None


def _gid(group: str) -> int | None:
    try:
        return group_id(group)
    except KeyError:
        return None
