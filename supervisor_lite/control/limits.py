"""What one request, one connection and one user may take up: every bound of the control socket.

docs/protocol.md lists them. Root and the daemon's own user are trusted: they count for no user's
budget, and no budget of others keeps them out.
"""

from __future__ import annotations

import os
import resource

# Of a request.

MAX_NAMES = 10_000
"""Names in one request."""

MAX_PATTERNS = 64
"""Different shell patterns in one request."""

MAX_PATTERN = 256
"""Characters of a pattern."""

MAX_STARS = 8
"""Asterisks in a pattern: each may look through the whole of a name."""

MAX_COMPARED = 3_000_000
"""Characters of names that the patterns of one request are compared with: some 0.1 s."""

MAX_ID = 256
"""Characters of a request's id, which its answer repeats."""

MAX_MESSAGE = 2000
"""Characters of an error's text, which may repeat what was typed."""

MAX_UNKNOWN = 1000
"""Names that an error lists, of those that mean nothing."""

# Of a connection.

LINE_TIMEOUT = 30.0
"""Seconds in which a request line that was begun must be finished."""

READ_TIMEOUT = 60.0
"""Seconds that a client may leave its replies unread."""

MAX_UNREAD = 16 << 20
"""Bytes of unread replies at which a client is dropped."""

MAX_IN_FLIGHT = 64
"""Requests of one connection that may be in the works."""

MAX_SUBSCRIPTIONS = 16
"""Subscriptions of one connection."""

# Of a user that is not trusted.

MAX_CONNECTIONS = 2048
"""Connections of all users; less where there are few descriptors."""

MAX_USER_CONNECTIONS = 576
"""Connections of one user: what the gateway needs at most, and some."""

MAX_USER_BYTES = 64 << 20
"""Bytes of one user's unfinished requests and unread replies."""

MAX_BYTES = 256 << 20
"""The same, of all users."""

MAX_USER_FOLLOWED = 40_000
"""Outputs that one user follows at a time."""


def is_trusted(uid: int) -> bool:
    """Is it root or our own user, who can do everything to us anyway?"""
    return uid in (0, os.geteuid())


class Account:
    """What one user takes up."""

    __slots__ = ("bytes", "connections", "followed")

    def __init__(self) -> None:
        self.connections = 0
        self.bytes = 0
        self.followed = 0


class Quotas:
    """What each user takes up, of those that are not trusted; who takes up nothing is forgotten."""

    def __init__(self) -> None:
        self.most = _most_connections()
        """Connections of all users."""
        self.total = Account()
        self._accounts: dict[int, Account] = {}

    def refusal(self, uid: int) -> str:
        """Return why a user may not have another connection; empty if he may."""
        account = self._accounts.get(uid)
        most = min(MAX_USER_CONNECTIONS, max(1, self.most // 2))
        if account is not None and account.connections >= most:
            return f"uid {uid} has {most} connections already"
        if self.total.connections >= self.most:
            return f"there are {self.most} connections already"
        return ""

    def enter(self, uid: int) -> None:
        """Count a connection."""
        self._accounts.setdefault(uid, Account()).connections += 1
        self.total.connections += 1

    def leave(self, uid: int, followed: int) -> None:
        """Count a connection no more, nor so many outputs that it has followed."""
        account = self._accounts[uid]
        account.followed -= followed
        account.connections -= 1
        self.total.connections -= 1
        if account.connections == 0:
            del self._accounts[uid]

    def hold(self, uid: int, change: int) -> None:
        """Count so many bytes more, or less."""
        self._accounts[uid].bytes += change
        self.total.bytes += change

    def is_full(self, uid: int) -> bool:
        """Are there more bytes than may be, of the user or of all?"""
        return self._accounts[uid].bytes > MAX_USER_BYTES or self.total.bytes > MAX_BYTES

    def follow(self, uid: int) -> bool:
        """Count one more output that is followed; False if there are too many."""
        account = self._accounts[uid]
        if account.followed >= MAX_USER_FOLLOWED:
            return False
        account.followed += 1
        return True


def _most_connections() -> int:
    """Return how many connections others may have: a quarter of our descriptors at most."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft < 0 else max(8, min(MAX_CONNECTIONS, soft // 4))
