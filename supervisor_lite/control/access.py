"""Who may do what: the peer's credentials, and the roles that the configuration grants."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from supervisor_lite.control.limits import is_trusted
from supervisor_lite.host.syscalls import peer_groups
from supervisor_lite.model.settings import AccessRule
from supervisor_lite.protocol.commands import ADMIN, METHODS, ROLES
from supervisor_lite.sockets import peer_of
from supervisor_lite.users import group_id, user_id, user_name


class Caller(NamedTuple):
    """The process at the other end of a connection, when it connected (unix(7), SO_PEERCRED)."""

    uid: int
    gid: int
    pid: int
    groups: tuple[int, ...] = ()
    whom: str = ""
    """For whom it asks, whom it knows and we do not: it is the gateway."""

    @property
    def user(self) -> str:
        """Name the user."""
        return f"uid {self.uid} ({user_name(self.uid)})"

    @property
    def words(self) -> str:
        """Name the caller for the record of who did what."""
        # 0: it is outside our pid namespace, which has no number for it (pid_namespaces(7)).
        words = f"{self.user}, pid {self.pid}" if self.pid else self.user
        return f"{words} for {self.whom}" if self.whom else words


def caller_of(sock: socket.socket) -> Caller:
    """Return who is at the other end of a Unix socket."""
    peer = peer_of(sock)
    try:
        groups = peer_groups(sock)
    except OSError:
        groups = ()  # more groups than fit, or a kernel before 4.13: the primary one counts
    return Caller(peer.uid, peer.gid, peer.pid, groups)


Rule = tuple[str, tuple[str, ...]]
"""A role, and the patterns of the programs that it is for."""

_MAX_REMEMBERED = 50_000
"""Answers that are kept; there is one for each process and role, unless processes come and go."""


class Grants:
    """What a caller may do; one for all who may do the same.

    Whether a pattern means a process is found out once: a list of thousands of them is asked for
    again and again.
    """

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self._remembered: dict[tuple[int, str], bool] = {}

    def __bool__(self) -> bool:
        return bool(self.rules)

    def sees_everything(self) -> bool:
        """Does any role hold for whatever there is, or ever was?"""
        return any("*" in patterns for _, patterns in self.rules)

    def may_all(self, method: str) -> bool:
        """May it call the method for whatever process there is?"""
        needed = _rank_of(method)
        return any("*" in patterns and ROLES.index(role) >= needed for role, patterns in self.rules)

    def may(self, method: str, name: str | None) -> bool:
        """May it call the method, for the process `name` or for the daemon (None)?"""
        needed = _rank_of(method)
        return self._has(needed, name) if name is not None else self._has_daemon(needed)

    def is_admin(self, name: str) -> bool:
        """Does the role admin hold for the process?"""
        return self._has(ROLES.index(ADMIN), name)

    def at_most(self, role: str) -> tuple[Rule, ...]:
        """Return the rules as they are for somebody who has this role at most."""
        most = ROLES.index(role)
        return tuple((ROLES[min(ROLES.index(own), most)], which) for own, which in self.rules)

    def _has_daemon(self, needed: int) -> bool:
        return any(
            ROLES.index(role) >= needed and (needed < ROLES.index(ADMIN) or "*" in patterns)
            for role, patterns in self.rules
        )

    def _has(self, needed: int, name: str) -> bool:
        known = self._remembered.get((needed, name))
        if known is not None:
            return known
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        found = any(
            ROLES.index(role) >= needed and any(_matches(name, pattern) for pattern in patterns)
            for role, patterns in self.rules
        )
        self._remembered[needed, name] = found
        return found


class AccessTable:
    """The rules of the configuration, and what they grant to whom."""

    def __init__(
        self,
        rules: Sequence[AccessRule],
        own_role: Callable[[Caller], str | None] = lambda _: None,
    ) -> None:
        """`own_role` returns what the daemon's own gateway may do if no rule is about its user."""
        self._rules = rules
        self._own_role = own_role
        self._grants: dict[tuple[Rule, ...], Grants] = {}

    def of(self, caller: Caller) -> Grants:
        """Return what a caller may do; root and our own user may do everything."""
        if is_trusted(caller.uid):
            return self.shared(((ADMIN, ("*",)),))
        mine = [rule for rule in self._rules if _concerns(rule, caller)]
        if not mine and (role := self._own_role(caller)) is not None:
            return self.shared(((role, ("*",)),))
        return self.shared(tuple((rule.role, tuple(rule.programs)) for rule in mine))

    def shared(self, rules: tuple[Rule, ...]) -> Grants:
        """Return the grants of these rules, the same for everybody."""
        # There are not more of them than combinations of rules that somebody has.
        return self._grants.setdefault(rules, Grants(rules))


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
